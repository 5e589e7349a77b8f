import type { EventsPage, RunEvent } from "../wire/records.ts";
import type { EventsQuery, ReadEvents } from "./loading.ts";
import { Notices, type Schedule } from "./notices.ts";

/** Which events of a run are wanted; without anything all of them. */
export interface EventChoice {
  /** 0, 1 or 2: the least that an event must matter. */
  minImportance?: number;
  /** Types, or beginnings of types with a dot at their end. */
  types?: readonly string[];
  /** What the server can't look at. */
  fits?: (event: RunEvent) => boolean;
}

/** Events to a page; the server looks at no more than this for one answer. */
const PAGE = 500;
/** So many events are held at the most: what is further from what is looked at is let go, and read again. */
const MOST = 5_000;
/** So near to what is not there, it is read. */
const NEAR = 100;
/** Longer payloads are left out: a line shows a part of them, and the event's own view fetches them. */
const MOST_BYTES = 4_096;
/** After so many pages without anything that fits, going on is for somebody to say. */
const IDLE_PAGES = 20;
/** Events that came before those in front of them wait for these, so many. */
const MOST_EARLY = 1_000;
const AGAIN_MS = 2_000;

/** A part of a run's events that follows what somebody looks at: read where they look, let go elsewhere.
 *
 * However long a run is, so many events are in memory. Where all events are wanted each has its row before it is read,
 * as seqs have no gaps; of a choice the rows are those that were found. At the end it goes on with the stream.
 */
export class EventWindow {
  readonly runId: string;
  readonly choice: EventChoice;
  /** Grows with each change. */
  version = 0;
  /** The first seq that the run has, as far as is known: those before were removed. */
  first = 1;
  /** The last seq that the run is known to have. */
  end = 0;
  /** All that fits from this seq ... */
  from = 1;
  /** ... to this one is here. */
  to = 0;
  /** How many that fit the stream told of and are not here: they are further on. */
  beyond = 0;
  problem: string | null = null;
  #events: RunEvent[] = [];
  #early = new Map<number, RunEvent>();
  #read: ReadEvents;
  #delay: (task: () => void, ms: number) => () => void;
  #notices: Notices;
  #begun: ((position: number) => void) | null = null;
  #place: number | null;
  #isOpen = false;
  #isReading = false;
  #follows = true;
  #idlePages = 0;
  /** Another one for each beginning: what was asked for before it is of no use. */
  #round = 0;
  #cancelRetry: (() => void) | null = null;

  constructor(
    runId: string,
    choice: EventChoice,
    place: number | null,
    read: ReadEvents,
    delay: (task: () => void, ms: number) => () => void,
    schedule?: Schedule,
  ) {
    this.runId = runId;
    this.choice = choice;
    this.#place = place;
    this.#follows = place === null;
    this.#read = read;
    this.#delay = delay;
    this.#notices = new Notices(schedule);
  }

  /** Whether each seq has a row. */
  get isWhole(): boolean {
    const { minImportance, types, fits } = this.choice;
    return !minImportance && types === undefined && fits === undefined;
  }

  /** How many rows there are, of events that are here or not. */
  get rows(): number {
    return this.isWhole ? Math.max(0, this.end - this.first + 1) : this.#events.length;
  }

  /** What is here, in order. Don't change it. */
  get events(): readonly RunEvent[] {
    return this.#events;
  }

  /** Whether nothing has been read yet. */
  get isEmpty(): boolean {
    return !this.#isOpen;
  }

  /** Whether it reaches to the last event. */
  get isAtEnd(): boolean {
    return this.to >= this.end;
  }

  /** Whether looking further back was given up until somebody says so: many pages had nothing that fits. */
  get isPaused(): boolean {
    return this.#idlePages >= IDLE_PAGES && this.from > this.first;
  }

  /** The event of a row; undefined where it is not here. */
  at(row: number): RunEvent | undefined {
    return this.isWhole ? this.#events[indexOfSeq(this.#events, this.first + row)] : this.#events[row];
  }

  /** The row of a seq; -1 where it has none. */
  rowOf(seq: number): number {
    if (!this.isWhole) return indexOfSeq(this.#events, seq);
    return seq >= this.first && seq <= this.end ? seq - this.first : -1;
  }

  subscribe(listener: () => void): () => void {
    return this.#notices.subscribe("", listener);
  }

  /** Begins to read: at the end, or around the place. `begun` is told from which position the stream has to go on. */
  open(begun: (position: number) => void): void {
    this.#begun = begun;
    this.renew();
  }

  /** Stops reading. */
  close(): void {
    this.#round += 1;
    this.#begun = null;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
  }

  /** The stream may have missed something: it looks again where the end is. With `forget`, nothing of before holds. */
  renew(forget = false): void {
    if (forget) this.#forget();
    this.#round += 1;
    this.#isReading = false;
    this.#early.clear();
    this.#work(() => this.#begin());
  }

  /** Somebody looks at these rows, and stays at the end where `follows` says so. */
  look(fromRow: number, toRow: number, follows: boolean): void {
    this.#follows = follows;
    if (!this.#isOpen || this.#isReading || this.#cancelRetry !== null) return;
    const task = this.#missing(fromRow, toRow);
    if (task !== null) this.#work(task);
  }

  /** Goes to the end, or to where an event is. */
  goTo(seq: number): void {
    this.#round += 1;
    this.#work(() => this.#around(seq));
  }

  /** Looks further back for what fits. */
  goOn(): void {
    this.#idlePages = 0;
    this.#tell();
  }

  /** Takes what the stream tells; of other runs it takes nothing. */
  take(events: readonly RunEvent[]): void {
    if (!this.#isOpen) return;
    let isNew = false;
    for (const event of events) {
      if (event.run_id !== this.runId || event.seq <= this.to) continue;
      isNew = true;
      const isNews = event.seq > this.end;
      this.end = Math.max(this.end, event.seq);
      // Who looks at something far from a full window's end has that moved by nothing: the end is read when they go there.
      if (!this.#follows && this.#events.length >= MOST) {
        if (isNews && this.#fits(event)) this.beyond += 1;
        continue;
      }
      if (event.seq === this.to + 1) this.#push(event);
      else if (this.#early.size < MOST_EARLY) this.#early.set(event.seq, event);
    }
    if (!isNew) return;
    this.#drain();
    this.#tell();
  }

  #push(event: RunEvent): void {
    this.to = event.seq;
    if (this.#fits(event)) this.#events.push(event);
    // By pages, as taking the first ones off moves all others.
    if (this.#events.length > MOST + PAGE) this.#letGoFirst();
  }

  /** What came too early goes on behind what is here by now. */
  #drain(): void {
    for (let next = this.#early.get(this.to + 1); next !== undefined; next = this.#early.get(this.to + 1)) {
      this.#early.delete(next.seq);
      this.#push(next);
    }
  }

  #letGoFirst(): void {
    const over = this.#events.length - MOST;
    if (over <= 0) return;
    this.#events.splice(0, over);
    this.from = this.#events[0]?.seq ?? this.to + 1;
  }

  #letGoLast(): void {
    if (this.#events.length <= MOST) return;
    this.#events.length = MOST;
    this.to = this.#events.at(-1)?.seq ?? this.to;
    this.#early.clear();
  }

  /** What to read for these rows; null where nothing is missing. */
  #missing(fromRow: number, toRow: number): (() => Promise<void>) | null {
    const hasEarlier = this.from > this.first;
    if (!this.isWhole) {
      if (hasEarlier && fromRow < NEAR && !this.isPaused) return () => this.#back();
      return !this.isAtEnd && toRow > this.#events.length - NEAR ? () => this.#on() : null;
    }
    const [low, high] = [this.first + fromRow, this.first + Math.max(fromRow, toRow - 1)];
    if (high < this.from || low > this.to + 1) return () => this.#around(Math.floor((low + high) / 2));
    if (hasEarlier && low < this.from + NEAR) return () => this.#back();
    return !this.isAtEnd && high > this.to - NEAR ? () => this.#on() : null;
  }

  async #begin(): Promise<void> {
    const newest = await this.#page({ order: "desc", limit: this.isWhole ? PAGE : 1 }, !this.isWhole);
    const last = newest.items[0];
    this.end = Math.max(this.end, last?.seq ?? 0);
    this.#begun?.(last?.position ?? 0);
    const wasOpen = this.#isOpen;
    this.#isOpen = true;
    // What was looked at stays; the rest is read from where it ended.
    if (wasOpen && !this.#follows) return;
    if (this.isWhole && newest.next_seq === null) this.first = newest.items.at(-1)?.seq ?? this.first;
    else if (this.isWhole) this.first = (await this.#page({ limit: 1 })).items[0]?.seq ?? this.first;
    const place = this.#place;
    this.#place = null;
    if (place !== null && place < this.end) await this.#around(place);
    else if (this.isWhole) this.#replace(newest.items.reverse(), newest.next_seq === null, true);
    else await this.#around(this.end);
  }

  /** Reads what lies around a seq, instead of what is here. */
  async #around(seq: number): Promise<void> {
    const { end } = this;
    const before = await this.#page({ order: "desc", limit: PAGE, before: seq + 1 });
    const after = seq < end ? await this.#page({ limit: PAGE, after: seq }) : { items: [], next_seq: null };
    this.#replace([...before.items.reverse(), ...after.items], before.next_seq === null, false);
    this.from = before.next_seq === null ? this.first : before.next_seq;
    this.to = after.next_seq ?? (this.isWhole ? this.#lastSeq() : Math.max(end, this.#lastSeq()));
    this.#settle();
  }

  async #back(): Promise<void> {
    const page = await this.#page({ order: "desc", limit: PAGE, before: this.from });
    const found = page.items.filter((event) => this.#fits(event)).reverse();
    this.#idlePages = found.length === 0 ? this.#idlePages + 1 : 0;
    this.#events = [...found, ...this.#events];
    if (page.next_seq === null && this.isWhole) this.first = this.#events[0]?.seq ?? this.first;
    this.from = page.next_seq ?? this.first;
    this.#letGoLast();
  }

  async #on(): Promise<void> {
    const { end, to } = this;
    const page = await this.#page({ limit: PAGE, after: to });
    const fresh = page.items.filter((event) => event.seq > this.to);
    if (fresh.length === 0 && this.isWhole && this.to === to)
      throw new Error("the server gave no event that was missing");
    this.#events.push(...fresh.filter((event) => this.#fits(event)));
    this.to = Math.max(this.to, page.next_seq ?? Math.max(this.isWhole ? 0 : end, fresh.at(-1)?.seq ?? 0));
    this.#settle();
    this.#letGoFirst();
  }

  #replace(events: RunEvent[], isFirst: boolean, isLast: boolean): void {
    this.#events = events.filter((event) => this.#fits(event));
    this.#idlePages = 0;
    this.from = isFirst ? this.first : (events[0]?.seq ?? this.first);
    if (!isLast) return;
    this.to = this.#lastSeq();
    this.#settle();
  }

  /** After a read: what came by the stream goes on behind it. */
  #settle(): void {
    this.end = Math.max(this.end, this.to);
    if (this.isAtEnd) this.beyond = 0;
    for (const seq of this.#early.keys()) if (seq <= this.to) this.#early.delete(seq);
    this.#drain();
  }

  #lastSeq(): number {
    return this.#events.at(-1)?.seq ?? 0;
  }

  #forget(): void {
    this.#events = [];
    this.#early.clear();
    [this.first, this.end, this.from, this.to] = [1, 0, 1, 0];
    this.#isOpen = false;
    this.#follows = true;
  }

  /** A page as the server chooses it; `plain`: of all events. What was asked for in a round that is over is no answer. */
  async #page(asked: EventsQuery, plain = false): Promise<EventsPage> {
    const { minImportance, types } = this.choice;
    const round = this.#round;
    const page = await this.#read(this.runId, {
      ...asked,
      max_bytes: MOST_BYTES,
      ...(!plain && minImportance ? { min_importance: minImportance } : {}),
      ...(!plain && types !== undefined ? { type: types } : {}),
    });
    if (round !== this.#round) throw new Error("another reading began meanwhile");
    return page;
  }

  #fits(event: RunEvent): boolean {
    const { minImportance = 0, types, fits } = this.choice;
    if (event.importance < minImportance) return false;
    if (types !== undefined && !types.some((type) => isOfType(event.type, type))) return false;
    return fits === undefined || fits(event);
  }

  /** One reading at a time; what is of a round that is over is let go, and what fails is tried again. */
  #work(task: () => Promise<void>): void {
    const round = this.#round;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#isReading = true;
    const mine = () => round === this.#round && this.#begun !== null;
    task().then(
      () => {
        if (!mine()) return;
        this.#isReading = false;
        this.problem = null;
        this.#tell();
      },
      (error: unknown) => {
        if (!mine()) return;
        this.problem = error instanceof Error ? error.message : String(error);
        this.#isReading = false;
        this.#cancelRetry = this.#delay(
          () => this.#work(this.#isOpen ? task : () => this.#begin()),
          AGAIN_MS,
        );
        this.#tell();
      },
    );
  }

  #tell(): void {
    this.version += 1;
    this.#notices.tell("");
  }
}

/** Where the event with that seq is; -1 where it is not. */
export function indexOfSeq(events: readonly RunEvent[], seq: number): number {
  let [low, high] = [0, events.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = events[middle]?.seq ?? 0;
    if (at === seq) return middle;
    if (at < seq) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function isOfType(type: string, wanted: string): boolean {
  return wanted.endsWith(".") ? type.startsWith(wanted) : type === wanted;
}
