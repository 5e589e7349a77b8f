import { isBefore, later } from "../wire/cursors.ts";
import type { Frame } from "./frames.ts";
import type { Connection } from "./source.ts";

/** What pages of one browser say to each other. */
export type Note =
  | { kind: "want"; page: string; topics: readonly string[]; after: string | null }
  | { kind: "leave"; page: string }
  | { kind: "who" }
  | { kind: "lead"; page: string; connection: Connection | null }
  | { kind: "frame"; frame: Frame }
  | { kind: "connection"; connection: Connection };

/** How pages find each other: a channel to all others, and a lock that one of them holds. */
export interface Meeting {
  post(note: Note): void;
  listen(listener: (note: Note) => void): () => void;
  /** Waits for the lead and holds it until `done` resolves; rejects when another page took it away. */
  lead(done: Promise<void>, lead: () => void, steal: boolean): Promise<void>;
  delay(task: () => void, ms: number): () => void;
}

/** The stream that the leading page has open. */
export interface Source {
  follow(topics: readonly string[], after: string | null): void;
  retry(): void;
  close(): void;
}

/** So long a page that is looked at waits for its leader's word before it takes the lead. A leader answers from a
 * message's handler, which browsers do not slow down in hidden pages; only a frozen page is silent. */
const SILENT_MS = 2_000;

/** One stream for all pages of a browser, as browsers open six connections to a server at most.
 *
 * One page leads: it holds a lock, has the stream open for the topics of all, and passes each frame on. When it goes,
 * the browser gives the lock to the next one, and each page says where it is: the new leader reads on from the earliest.
 * Frames may then come twice, which nobody minds: events have their place.
 */
export class SharedStream {
  #page: string;
  #meeting: Meeting;
  #open: () => Source;
  #source: Source | null = null;
  #wants = new Map<string, { topics: readonly string[]; after: string | null }>();
  #topics: readonly string[] = [];
  #cursor: string | null = null;
  #connection: Connection | null = null;
  #onFrame: (frame: Frame) => void;
  #onConnection: (connection: Connection) => void;
  #finish: (() => void) | null = null;
  #unlisten: (() => void) | null = null;
  #cancelWait: (() => void) | null = null;

  constructor(
    page: string,
    meeting: Meeting,
    open: (onFrame: (frame: Frame) => void, onConnection: (connection: Connection) => void) => Source,
    onFrame: (frame: Frame) => void,
    onConnection: (connection: Connection) => void,
  ) {
    this.#page = page;
    this.#meeting = meeting;
    this.#onFrame = onFrame;
    this.#onConnection = onConnection;
    this.#open = () =>
      open(
        (frame) => this.#pass(frame),
        (connection) => this.#passConnection(connection),
      );
  }

  get leads(): boolean {
    return this.#source !== null;
  }

  start(): void {
    this.#unlisten = this.#meeting.listen((note) => this.#hear(note));
    this.#queue(false);
    this.#meeting.post({ kind: "who" });
  }

  stop(): void {
    this.#cancelWait?.();
    this.#unlisten?.();
    this.#unlisten = null;
    this.#meeting.post({ kind: "leave", page: this.#page });
    this.#finish?.();
    this.#stepDown();
  }

  /** Follows these topics; `after` is as of what the page has fetched, if it fetched something. */
  want(topics: readonly string[], after: string | null): void {
    this.#topics = topics;
    if (after !== null && this.#cursor === null) this.#cursor = after;
    const want = { topics, after };
    if (this.#source !== null) this.#take(this.#page, want);
    else this.#meeting.post({ kind: "want", page: this.#page, ...want });
  }

  /** Somebody looks at the page, or the network is back. */
  retry(): void {
    if (this.#source !== null) {
      this.#source.retry();
      return;
    }
    this.#cancelWait ??= this.#meeting.delay(() => {
      this.#cancelWait = null;
      this.#finish?.();
      this.#queue(true);
    }, SILENT_MS);
    this.#meeting.post({ kind: "who" });
  }

  #queue(steal: boolean): void {
    const done = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    this.#meeting
      .lead(done, () => this.#becomeLeader(), steal)
      .catch(() => {
        this.#stepDown();
        if (this.#unlisten !== null) this.#queue(false);
      });
  }

  #becomeLeader(): void {
    if (this.#unlisten === null || this.#source !== null) return;
    this.#wants.clear();
    this.#source = this.#open();
    this.#take(this.#page, { topics: this.#topics, after: this.#cursor });
    this.#meeting.post({ kind: "lead", page: this.#page, connection: this.#connection });
  }

  #stepDown(): void {
    this.#source?.close();
    this.#source = null;
  }

  #take(page: string, want: { topics: readonly string[]; after: string | null }): void {
    const before = this.#followed();
    this.#wants.set(page, want);
    const now = this.#followed();
    const grown = now.some((topic) => !before.includes(topic));
    const earlier = want.after !== null && (this.#cursor === null || isBefore(want.after, this.#cursor));
    // A topic that nobody wants any more goes when something else changes: it is not worth another stream.
    if (grown || earlier) this.#source?.follow(now, earlier ? want.after : null);
  }

  #followed(): string[] {
    return [...new Set([...this.#wants.values()].flatMap((want) => want.topics))].sort();
  }

  #hear(note: Note): void {
    if (note.kind === "frame") this.#deliver(note.frame);
    else if (note.kind === "connection") this.#show(note.connection);
    else if (note.kind === "lead") this.#meet(note.connection);
    else if (this.#source !== null) this.#serve(note);
  }

  #serve(note: Note): void {
    if (note.kind === "want") this.#take(note.page, note);
    else if (note.kind === "leave") this.#wants.delete(note.page);
    else if (note.kind === "who")
      this.#meeting.post({ kind: "lead", page: this.#page, connection: this.#connection });
  }

  #meet(connection: Connection | null): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    if (this.#source !== null) return;
    if (connection !== null) this.#show(connection);
    this.#meeting.post({ kind: "want", page: this.#page, topics: this.#topics, after: this.#cursor });
  }

  #pass(frame: Frame): void {
    this.#meeting.post({ kind: "frame", frame });
    this.#deliver(frame);
  }

  #passConnection(connection: Connection): void {
    this.#meeting.post({ kind: "connection", connection });
    this.#show(connection);
  }

  #deliver(frame: Frame): void {
    if (frame.kind === "reset") this.#cursor = frame.cursor;
    else if (frame.cursor !== null) this.#cursor = later(this.#cursor, frame.cursor);
    this.#onFrame(frame);
  }

  #show(connection: Connection): void {
    this.#connection = connection;
    this.#onConnection(connection);
  }
}
