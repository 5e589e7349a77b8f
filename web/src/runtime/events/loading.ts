import type { Page, RunEvent } from "../wire/records.ts";
import type { Span } from "./log.ts";
import type { EventStore } from "./store.ts";

/** Reads a page of a run's events: those after a seq, or the newest. Rejects where the server can't be reached. */
export type ReadEvents = (
  runId: string,
  page: { after: number; limit: number } | { newest: number },
) => Promise<Page<RunEvent>>;

/** The newest are read first, as they are looked at first. */
const FIRST_PAGE = 200;
const PAGE = 1_000;

/** Brings what is missing of a run into the store: the newest page first, then each hole from the newest back. */
export class Loading {
  #store: EventStore;
  #read: ReadEvents;
  #wanted = new Set<string>();
  #working = new Map<string, Promise<void>>();

  constructor(store: EventStore, read: ReadEvents) {
    this.#store = store;
    this.#read = read;
  }

  /** Begins with a run; gives the cursor from which the stream goes on. */
  async open(runId: string): Promise<string> {
    this.#wanted.add(runId);
    this.#store.log(runId);
    const page = await this.#read(runId, { newest: FIRST_PAGE });
    this.#store.add(page.items, true);
    this.fill(runId);
    return page.as_of;
  }

  /** Reads on where the stream may have missed something: after the newest that is known. */
  async catchUp(runId: string): Promise<void> {
    if (!this.#wanted.has(runId)) return;
    const page = await this.#read(runId, { newest: FIRST_PAGE });
    this.#store.add(page.items, true);
    this.fill(runId);
  }

  /** Stops reading; what was read stays until the store drops it. */
  close(runId: string): void {
    this.#wanted.delete(runId);
  }

  /** Reads all holes, one page at a time. A page that can't be read ends it; the next event of the run goes on. */
  fill(runId: string): Promise<void> {
    const working = this.#working.get(runId);
    if (working !== undefined) return working;
    const started = this.#fill(runId)
      .catch(() => undefined)
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
