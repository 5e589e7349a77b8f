import type { RunEvent } from "../wire/records.ts";
import { RunLog } from "./log.ts";
import { Notices, type Schedule } from "./notices.ts";

/** Where events were removed before they could be seen here. */
export interface Gap {
  after: number;
  removedUpTo: number;
}

/** The events of all runs that somebody looks at. Plain: React reads it through `useSyncExternalStore`.
 *
 * It takes pages and batches of the stream in any order and as often as they come, and tells its listeners in batches.
 */
export class EventStore {
  #logs = new Map<string, RunLog>();
  /** Runs that nobody looks at any more, the one that was left last at the end. */
  #left = new Set<string>();
  #gaps: readonly Gap[] = [];
  #notices: Notices;

  constructor(schedule?: Schedule) {
    this.#notices = new Notices(schedule);
  }

  /** The log of a run, made on first use. */
  log(runId: string): RunLog {
    let log = this.#logs.get(runId);
    if (log === undefined) {
      log = new RunLog(runId);
      this.#logs.set(runId, log);
    }
    return log;
  }

  has(runId: string): boolean {
    return this.#logs.has(runId);
  }

  /** Gaps of the stream since the page was opened. The array is another one after each change. */
  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  /** Takes in events of any runs; those of runs that nobody looks at are left out unless `keep` is given. */
  add(events: readonly RunEvent[], keep = false): void {
    const byRun = new Map<string, RunEvent[]>();
    for (const event of events) {
      if (!keep && (!this.#logs.has(event.run_id) || this.#left.has(event.run_id))) continue;
      const list = byRun.get(event.run_id);
      if (list === undefined) byRun.set(event.run_id, [event]);
      else list.push(event);
    }
    for (const [runId, list] of byRun) if (this.log(runId).add(list) > 0) this.#notices.tell(runId);
  }

  /** Notes where a run's events begin and end. */
  bound(runId: string, removed: number, end = 0): void {
    const log = this.log(runId);
    const before = log.version;
    log.bound(removed, end);
    if (log.version !== before) this.#notices.tell(runId);
  }

  /** Notes why what is missing of a run can't be read; null when it can again. */
  setProblem(runId: string, problem: string | null): void {
    const log = this.log(runId);
    if (log.problem === problem) return;
    log.problem = problem;
    log.version += 1;
    this.#notices.tell(runId);
  }

  addGap(gap: Gap): void {
    this.#gaps = [...this.#gaps, gap].slice(-KEPT_GAPS);
    this.#notices.tell(GAPS);
  }

  /** Another epoch began: nothing that is here may be shown beside what comes now. */
  reset(): void {
    const known = [...this.#logs.keys()];
    for (const runId of known) {
      const log = new RunLog(runId);
      log.version = (this.#logs.get(runId)?.version ?? 0) + 1;
      log.rewrites = 1;
      this.#logs.set(runId, log);
      this.#notices.tell(runId);
    }
    this.#gaps = [];
    this.#notices.tell(GAPS);
  }

  /** Somebody looks at the run. */
  keep(runId: string): void {
    this.#left.delete(runId);
  }

  /** Nobody looks at the run any more. Some that were left last stay, for who goes back; the others are forgotten. */
  leave(runId: string): void {
    this.#left.delete(runId);
    this.#left.add(runId);
    for (const oldest of this.#left) {
      if (this.#left.size <= KEPT_RUNS) return;
      this.#left.delete(oldest);
      this.#logs.delete(oldest);
    }
  }

  subscribe(runId: string, listener: () => void): () => void {
    return this.#notices.subscribe(runId, listener);
  }

  subscribeGaps(listener: () => void): () => void {
    return this.#notices.subscribe(GAPS, listener);
  }
}

/** A page that is open for days shows many runs. */
const KEPT_RUNS = 4;
/** So many gaps are told apart; of more the newest. */
const KEPT_GAPS = 100;
const GAPS = "\u0000gaps";
