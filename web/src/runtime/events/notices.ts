/** How a round of notices is put off: `soon` after what runs now, `later` after some milliseconds. */
export interface Schedule {
  now(): number;
  soon(task: () => void): void;
  later(task: () => void, ms: number): void;
}

const REAL: Schedule = {
  now: () => performance.now(),
  // Called by its own name: browsers refuse it as a method of something else.
  soon: (task) => queueMicrotask(task),
  later: (task, ms) => {
    setTimeout(task, ms);
  },
};

/** At most one round in that time. Each message of a stream is a task of its own, so microtasks alone would have a
 * thousand events a second drawn a thousand times; twenty times is as often as a person reads. */
const ROUND_MS = 50;

/** Tells listeners that something changed, once for all that changed at a time.
 *
 * The first round goes out in a microtask, never on an animation frame: a hidden page has none, and must not show an
 * old state when it is looked at again.
 */
export class Notices {
  #listeners = new Map<string, Set<() => void>>();
  #pending = new Set<string>();
  #scheduled = false;
  #lastRound = Number.NEGATIVE_INFINITY;
  #schedule: Schedule;

  constructor(schedule: Schedule = REAL) {
    this.#schedule = schedule;
  }

  tell(topic: string): void {
    this.#pending.add(topic);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const wait = this.#lastRound + ROUND_MS - this.#schedule.now();
    if (wait <= 0) this.#schedule.soon(() => this.#round());
    else this.#schedule.later(() => this.#round(), wait);
  }

  heard(topic: string): boolean {
    return (this.#listeners.get(topic)?.size ?? 0) > 0;
  }

  subscribe(topic: string, listener: () => void): () => void {
    let listeners = this.#listeners.get(topic);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(topic, listeners);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    };
  }

  #round(): void {
    this.#scheduled = false;
    this.#lastRound = this.#schedule.now();
    const topics = [...this.#pending];
    this.#pending.clear();
    for (const topic of topics) for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener();
  }
}
