import type { RunEvent } from "../wire/records.ts";

/** Seqs from `from` to `to`, both of them included. */
export interface Span {
  from: number;
  to: number;
}

/** The events of one run that are known here, each once and in the run's order, whatever order they came in.
 *
 * A run's seqs have no gaps, so what is not known yet shows as a hole. `removed` is what pruning took: no hole, as
 * nobody can fill it. Content is never changed, only added; `rewrites` tells readers who fold along that something came
 * before what they had already read.
 */
export class RunLog {
  readonly runId: string;
  /** Grows with each change. */
  version = 0;
  /** Grows when events come before others that were there. */
  rewrites = 0;
  /** The highest seq that pruning removed, as far as is known. */
  removed = 0;
  /** The highest seq that the run is known to have. */
  end = 0;
  /** Why what is missing could not be read, while it can't. */
  problem: string | null = null;
  #events: RunEvent[] = [];
  #seqs = new Set<number>();

  constructor(runId: string) {
    this.runId = runId;
  }

  get length(): number {
    return this.#events.length;
  }

  at(index: number): RunEvent | undefined {
    return this.#events[index];
  }

  /** All of them, in order. Don't change it. */
  get events(): readonly RunEvent[] {
    return this.#events;
  }

  /** Takes events in; gives how many were new. */
  add(given: readonly RunEvent[]): number {
    const fresh: RunEvent[] = [];
    for (const event of given) {
      if (this.#seqs.has(event.seq)) continue;
      this.#seqs.add(event.seq);
      fresh.push(event);
    }
    if (fresh.length === 0) return 0;
    fresh.sort((a, b) => a.seq - b.seq);
    const last = this.#events.at(-1)?.seq ?? 0;
    if ((fresh[0]?.seq ?? 0) > last) this.#events.push(...fresh);
    else {
      this.#events = merged(this.#events, fresh);
      this.rewrites += 1;
    }
    this.end = Math.max(this.end, this.#events.at(-1)?.seq ?? 0);
    this.version += 1;
    return fresh.length;
  }

  /** Notes that the run's events up to that seq were removed, and up to where it reaches. */
  bound(removed: number, end = 0): void {
    if (removed <= this.removed && end <= this.end) return;
    this.removed = Math.max(this.removed, removed);
    this.end = Math.max(this.end, end);
    this.version += 1;
  }

  /** What is not known between the first and the last seq of the run. */
  holes(): Span[] {
    const found: Span[] = [];
    let next = this.removed + 1;
    for (const event of this.#events) {
      if (event.seq > next) found.push({ from: next, to: event.seq - 1 });
      next = Math.max(next, event.seq + 1);
    }
    if (next <= this.end) found.push({ from: next, to: this.end });
    return found;
  }
}

function merged(a: readonly RunEvent[], b: readonly RunEvent[]): RunEvent[] {
  const all: RunEvent[] = [];
  let i = 0;
  for (const event of b) {
    for (let left = a[i]; left !== undefined && left.seq < event.seq; left = a[i]) {
      all.push(left);
      i += 1;
    }
    all.push(event);
  }
  for (; i < a.length; i += 1) all.push(a[i] as RunEvent);
  return all;
}
