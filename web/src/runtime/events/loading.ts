import type { EventsPage } from "../wire/records.ts";
import type { Span } from "./log.ts";
import type { EventStore } from "./store.ts";

/** A page of a run's events, as the API takes it. */
export interface EventsQuery {
  limit: number;
  /** The newest come first; else the oldest do. */
  order?: "desc";
  /** Those behind this seq ... */
  after?: number;
  /** ... and before this one. */
  before?: number;
  min_importance?: number;
  type?: readonly string[];
  /** Longer payloads are left out. */
  max_bytes?: number;
}

/** Reads a page of a run's events. Rejects where the server can't be reached. */
export type ReadEvents = (runId: string, page: EventsQuery) => Promise<EventsPage>;

/** The newest are read first, as they are looked at first. */
const FIRST_PAGE = 200;
const PAGE = 1_000;

/** After a page that could not be read, the next try comes then. */
const AGAIN_MS = 2_000;

/** Brings what is missing of a run into the store: the newest page first, then each hole from the newest back.
 *
 * What can't be read is said in the run's log and tried again, for as long as somebody looks at the run.
 */
export class Loading {
  #store: EventStore;
  #read: ReadEvents;
  #delay: (task: () => void, ms: number) => () => void;
  #wanted = new Set<string>();
  #working = new Map<string, Promise<void>>();
  #waiting = new Map<string, () => void>();

  constructor(store: EventStore, read: ReadEvents, delay: (task: () => void, ms: number) => () => void) {
    this.#store = store;
    this.#read = read;
    this.#delay = delay;
  }

  /** Begins with a run: its newest events, then the others. Calls back with the position
   * of the newest, from which the stream goes on. */
  open(runId: string, opened: (position: number) => void): Promise<void> {
    this.#wanted.add(runId);
    this.#store.log(runId);
    return this.#once(runId, async () => {
      const page = await this.#read(runId, { order: "desc", limit: FIRST_PAGE });
      this.#store.add(page.items, true);
      opened(page.items[0]?.position ?? 0);
      await this.#fill(runId);
    });
  }

  /** Reads on where the stream may have missed something: from the newest that there is. */
  catchUp(runId: string): Promise<void> {
    return this.open(runId, () => {});
  }

  /** Reads all holes, one page at a time. */
  fill(runId: string): Promise<void> {
    return this.#once(runId, () => this.#fill(runId));
  }

  /** Stops reading; what was read stays until the store drops it. */
  close(runId: string): void {
    this.#wanted.delete(runId);
    this.#waiting.get(runId)?.();
    this.#waiting.delete(runId);
  }

  /** One at a time for each run. A hole that comes up meanwhile is seen by who reads holes, as he looks again. */
  #once(runId: string, task: () => Promise<void>): Promise<void> {
    const working = this.#working.get(runId);
    if (working !== undefined) return working;
    if (!this.#wanted.has(runId) || this.#waiting.has(runId)) return Promise.resolve();
    const started = task()
      .then(() => this.#store.setProblem(runId, null))
      .catch((error: unknown) => {
        if (!this.#wanted.has(runId)) return;
        this.#store.setProblem(runId, error instanceof Error ? error.message : String(error));
        const cancel = this.#delay(() => {
          this.#waiting.delete(runId);
          void this.#once(runId, task);
        }, AGAIN_MS);
        this.#waiting.set(runId, cancel);
      })
      .finally(() => this.#working.delete(runId));
    this.#working.set(runId, started);
    return started;
  }

  async #fill(runId: string): Promise<void> {
    while (this.#wanted.has(runId)) {
      const hole = this.#store.log(runId).holes().at(-1);
      if (hole === undefined) return;
      await this.#fillHole(runId, hole);
    }
  }

  async #fillHole(runId: string, hole: Span): Promise<void> {
    const from = Math.max(hole.from, hole.to - PAGE + 1);
    const page = await this.#read(runId, { after: from - 1, limit: hole.to - from + 1 });
    const log = this.#store.log(runId);
    const before = log.length;
    this.#store.add(page.items, true);
    // Seqs have no gaps: what the server does not have below its first event was removed, with all before it.
    const first = page.items[0]?.seq ?? hole.to + 1;
    if (first > from) this.#store.bound(runId, Math.min(first - 1, hole.to));
    else if (log.length === before) throw new Error("the server gave no event that was missing");
  }
}
