import { createContext } from "react";
import { runstoneApi } from "../api/api.ts";
import { baseUrlSet, connectionChanged, selectConnection, type WithConnection } from "../api/connection.ts";
import { queryOf, segment } from "../api/queries.ts";
import { Loading, type ReadEvents } from "../events/loading.ts";
import { EventStore } from "../events/store.ts";
import { type EventChoice, EventWindow } from "../events/window.ts";
import type { Frame } from "../stream/frames.ts";
import { browserMeeting } from "../stream/meeting.ts";
import { type Meeting, SharedStream } from "../stream/shared.ts";
import { StreamSource, type Surroundings } from "../stream/source.ts";
import { browserSurroundings } from "../stream/surroundings.ts";
import { later, parseCursor } from "../wire/cursors.ts";
import type { RunEvent } from "../wire/records.ts";

/** The part of a Redux store that is used. */
export interface StoreLike {
  dispatch: (action: never) => unknown;
  getState: () => unknown;
  subscribe: (listener: () => void) => () => void;
}

export interface LiveOptions {
  baseUrl?: string;
  surroundings?: Surroundings;
  meeting?: Meeting;
  readEvents?: ReadEvents;
}

/** Rows and lists whose state changed are asked for again after this time, once for all changes in it. */
const REFRESH_MS = 400;
/** Rows of which only sums grew (a call, a line, a request) are, after this one. */
const SUMS_MS = 2_000;

/** So long the stream waits for the first list; an app that shows none has nothing that could fall between. */
const FIRST_LIST_MS = 1_000;

/** The topic of lists: who follows any bucket is told of every run that enters or leaves one, and this one is small. */
const LISTS = "bucket:needs_input";

interface Watcher {
  runIds: ReadonlySet<string>;
  changed: (runId: string | null) => void;
}

type Tag = { type: "Run" | "Commands" | "Messages"; id: string } | { type: "Runs" | "Inputs" };

/** Keeps a store in step with the ledger: one stream, events into the event store, changed rows asked for again. */
export class LiveLedger {
  readonly events = new EventStore();
  #store: StoreLike;
  #stream: SharedStream;
  #loading: Loading;
  #readEvents: ReadEvents;
  #followed = new Map<string, number>();
  #windows = new Set<EventWindow>();
  #heard = new Map<string, number>();
  #watchers = new Set<Watcher>();
  #tags = new Map<string, Tag>();
  #cancelRefresh: (() => void) | null = null;
  #refreshAt = 0;
  #around: Surroundings;
  #after: string | null = null;
  #isStarted = false;
  /** From where the stream is to go on once it is known of which epoch that is. */
  #position: number | null = null;
  #stopListening: (() => void) | null = null;

  constructor(store: StoreLike, options: LiveOptions = {}) {
    this.#store = store;
    if (options.baseUrl !== undefined) this.#dispatch(baseUrlSet(options.baseUrl));
    const { baseUrl } = selectConnection(store.getState() as WithConnection);
    this.#around = options.surroundings ?? browserSurroundings(`${baseUrl}/meta`);
    this.#readEvents = options.readEvents ?? readEventsFrom(baseUrl);
    this.#loading = new Loading(this.events, this.#readEvents, this.#around.delay);
    this.#stream = new SharedStream(
      crypto.randomUUID?.() ?? String(Math.random()),
      options.meeting ?? browserMeeting(`runstone:${baseUrl}`),
      (onFrame, onConnection) => new StreamSource(`${baseUrl}/stream`, this.#around, onFrame, onConnection),
      (frame) => this.#take(frame),
      (connection) => {
        const before = selectConnection(store.getState() as WithConnection).phase;
        this.#dispatch(connectionChanged(connection));
        // What failed while the server was away is asked for again when it is back.
        if (connection.phase === "live" && (before === "reconnecting" || before === "signed_out"))
          this.#refreshAll();
      },
    );
  }

  /** Opens the stream; gives what ends it. */
  start(): () => void {
    this.#stream.start();
    this.#wantFromFirstList();
    this.#stopListening = listenToPage({
      look: () => this.#stream.retry(),
      leave: () => this.#stream.stop(),
      back: () => {
        this.#stream.start();
        this.#want(this.#after);
      },
    });
    return () => {
      this.#stopListening?.();
      this.#cancelRefresh?.();
      this.#stream.stop();
    };
  }

  /** The stream begins as of the first list that was fetched, so that nothing falls between the two. */
  #wantFromFirstList(): void {
    const asOf = () => selectConnection(this.#store.getState() as WithConnection).asOf;
    let done = false;
    const want = () => {
      if (done) return;
      done = true;
      unsubscribe();
      cancel();
      this.#isStarted = true;
      this.#want(asOf());
    };
    const unsubscribe = this.#store.subscribe(() => {
      if (asOf() !== null) want();
    });
    const cancel = this.#around.delay(want, FIRST_LIST_MS);
    if (asOf() !== null) want();
  }

  /** Keeps all events of a run here while somebody looks at it; gives what ends it. */
  follow(runId: string): () => void {
    const count = this.#followed.get(runId) ?? 0;
    this.#followed.set(runId, count + 1);
    if (count === 0) {
      this.events.keep(runId);
      this.#want(null);
      void this.#loading.open(runId, (position) => this.#wantFrom(position));
    }
    return () => {
      const left = (this.#followed.get(runId) ?? 1) - 1;
      if (left > 0) this.#followed.set(runId, left);
      else {
        this.#followed.delete(runId);
        this.#loading.close(runId);
        this.events.leave(runId);
        this.#want(null);
      }
    };
  }

  /** A part of a run's events that is read where somebody looks; `open` begins it. `place`: the event to begin at. */
  eventWindow(runId: string, choice: EventChoice, place: number | null): EventWindow {
    return new EventWindow(runId, choice, place, this.#readEvents, this.#around.delay);
  }

  /** Has a window read, and told of what happens; gives what ends it. */
  open(window: EventWindow): () => void {
    this.#windows.add(window);
    this.#want(null);
    window.open((position) => this.#wantFrom(position));
    return () => {
      this.#windows.delete(window);
      window.close();
      this.#want(null);
    };
  }

  /** Has the stream tell of a run's events from now on, without fetching those of before; gives what ends it. */
  hear(runId: string): () => void {
    this.#heard.set(runId, (this.#heard.get(runId) ?? 0) + 1);
    this.#want(null);
    return () => {
      const left = (this.#heard.get(runId) ?? 1) - 1;
      if (left > 0) this.#heard.set(runId, left);
      else this.#heard.delete(runId);
      this.#want(null);
    };
  }

  /** Has the stream tell of these runs and all below them, and of each run that is new: `changed` gets the run's id, or
   * null where more may have happened than was told. `after` is as of when they were read.
   */
  watch(
    runIds: readonly string[],
    after: string | null,
    changed: (runId: string | null) => void,
  ): () => void {
    const watcher = { runIds: new Set(runIds), changed };
    this.#watchers.add(watcher);
    this.#want(after);
    return () => {
      this.#watchers.delete(watcher);
      this.#want(null);
    };
  }

  /** Follows from a position on: of this epoch, which the stream's first frame names if none has yet. */
  #wantFrom(position: number): void {
    const { asOf } = selectConnection(this.#store.getState() as WithConnection);
    const epoch = parseCursor(this.#after ?? asOf)?.epoch;
    if (epoch === undefined) this.#position = Math.min(this.#position ?? position, position);
    else this.#want(`${epoch}-${position}`);
  }

  #want(after: string | null): void {
    if (!this.#isStarted) return;
    const windows = [...this.#windows].map(({ runId }) => runId);
    const told = [...this.#followed.keys(), ...this.#heard.keys(), ...windows];
    const runs = told.map((id) => `run:${id}`);
    const watched = [...this.#watchers].flatMap(({ runIds }) => [...runIds].map((id) => `subtree:${id}`));
    this.#stream.want([LISTS, ...new Set([...runs, ...watched].sort())], after);
  }

  #take(frame: Frame): void {
    if (frame.cursor !== null) this.#after = later(this.#after, frame.cursor);
    if (this.#after !== null && this.#position !== null) {
      const position = this.#position;
      this.#position = null;
      this.#wantFrom(position);
    }
    if (frame.kind === "events") this.#takeEvents(frame.events);
    else if (frame.kind === "reset") {
      this.events.reset();
      this.#refreshAll(true);
    } else if (frame.kind === "gap") {
      this.events.addGap({ after: frame.after, removedUpTo: frame.removedUpTo });
      this.#refreshAll();
    }
  }

  #takeEvents(events: readonly RunEvent[]): void {
    this.events.add(events);
    for (const window of this.#windows) window.take(events);
    for (const watcher of this.#watchers)
      for (const event of events) if (concerns(event, watcher)) watcher.changed(event.run_id);
    for (const event of events) {
      for (const tag of tagsFor(event)) this.#tags.set(`${tag.type}:${"id" in tag ? tag.id : ""}`, tag);
      if (this.#followed.has(event.run_id)) void this.#loading.fill(event.run_id);
    }
    this.#refreshWithin(events.some(isTelling) ? REFRESH_MS : SUMS_MS);
  }

  #refreshWithin(ms: number): void {
    const due = this.#around.now() + ms;
    if (this.#cancelRefresh !== null && this.#refreshAt <= due) return;
    this.#cancelRefresh?.();
    this.#refreshAt = due;
    this.#cancelRefresh = this.#around.delay(() => this.#refresh(), ms);
  }

  #refresh(): void {
    this.#cancelRefresh = null;
    const tags = [...this.#tags.values()];
    this.#tags.clear();
    if (tags.length > 0) this.#dispatch(runstoneApi.util.invalidateTags(tags));
  }

  /** What may have been missed is asked for again; with `forget` nothing of before holds. */
  #refreshAll(forget = false): void {
    this.#dispatch(
      runstoneApi.util.invalidateTags([
        "Run",
        "Runs",
        "Inputs",
        "Commands",
        "Messages",
        "Meta",
        "Timelines",
        "Bulks",
      ]),
    );
    for (const runId of this.#followed.keys()) void this.#loading.catchUp(runId);
    for (const window of this.#windows) window.renew(forget);
    for (const watcher of this.#watchers) watcher.changed(null);
  }

  #dispatch(action: unknown): void {
    this.#store.dispatch(action as never);
  }
}

/** A run that is created in a thread is not known there yet: each new run may be one. */
function concerns(event: RunEvent, watcher: Watcher): boolean {
  return watcher.runIds.has(event.run_id) || event.type === "run.created" || event.type === "run.attached";
}

/** Whether an event changes more of its run than its sums. */
function isTelling(event: RunEvent): boolean {
  return /^(?:run|child|phase|input|command|checkpoint)\./.test(event.type);
}

/** What an event makes worth asking for again. */
function tagsFor(event: RunEvent): Tag[] {
  const domain = event.type.split(".", 1)[0];
  const tags: Tag[] = [{ type: "Run", id: event.run_id }];
  if (domain === "run" || domain === "child") tags.push({ type: "Runs" });
  if (domain === "input") tags.push({ type: "Inputs" }, { type: "Runs" });
  if (domain === "command") tags.push({ type: "Commands", id: event.run_id });
  if (event.type === "message.appended") {
    const { thread_id: threadId } = (event.payload ?? {}) as { thread_id?: unknown };
    if (typeof threadId === "string") tags.push({ type: "Messages", id: threadId });
  }
  return tags;
}

function readEventsFrom(baseUrl: string): ReadEvents {
  return async (runId, page) => {
    const query = queryOf({ ...page });
    const answer = await fetch(`${baseUrl}/runs/${segment(runId)}/events${query}`, {
      credentials: "same-origin",
    });
    if (!answer.ok) throw new Error(`the events of the run could not be read: ${answer.status}`);
    return answer.json();
  };
}

interface PageListeners {
  look: () => void;
  leave: () => void;
  back: () => void;
}

/** A page that is left may come back as it was (the browser's own history keeps it), so it leaves and joins again. */
function listenToPage({ look, leave, back }: PageListeners): () => void {
  if (typeof document === "undefined") return () => {};
  const seen = () => {
    if (document.visibilityState === "visible") look();
  };
  const shown = (event: PageTransitionEvent) => {
    if (event.persisted) back();
  };
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("online", look);
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", shown);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    window.removeEventListener("online", look);
    window.removeEventListener("pagehide", leave);
    window.removeEventListener("pageshow", shown);
  };
}

/** The ledger of the nearest `RunstoneProvider`. */
export const LiveContext = createContext<LiveLedger | null>(null);
