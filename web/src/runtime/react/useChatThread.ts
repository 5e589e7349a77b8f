import { useEffect, useState } from "react";
import { useStore } from "react-redux";
import { rehydrateThread } from "../chat/reading.ts";
import type { ThreadRecords } from "../chat/rehydration.ts";
import { useLiveLedger } from "./hooks.ts";
import type { StoreLike } from "./live.ts";

/** So long after a change the thread is read again, once for all changes in it. */
const SETTLE_MS = 300;
/** After a failure it is tried again then. */
const AGAIN_MS = 3_000;

/** Rebuilds a thread from the ledger in the store's `chatRuntime`, and again whenever one of its runs went on.
 *
 * Gives what keeps it from being up to date, null while nothing does.
 */
export function useChatThread(threadId: string): unknown {
  const live = useLiveLedger();
  const store = useStore() as unknown as StoreLike;
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    const thread = new ThreadFollower(
      () => rehydrateThread(threadId)(store.dispatch, store.getState),
      (runIds, changed) => live.watch(threadId, runIds, changed),
      setProblem,
    );
    thread.read();
    return () => thread.close();
  }, [live, store, threadId]);
  return problem;
}

/** Reads a thread, one reading at a time, and again after what happens meanwhile. */
export class ThreadFollower {
  #read: () => Promise<ThreadRecords>;
  #watch: (runIds: readonly string[], changed: () => void) => () => void;
  #report: (problem: unknown) => void;
  #unwatch: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #reading = false;
  #stale = false;
  #closed = false;

  constructor(
    read: () => Promise<ThreadRecords>,
    watch: (runIds: readonly string[], changed: () => void) => () => void,
    report: (problem: unknown) => void,
  ) {
    this.#read = read;
    this.#watch = watch;
    this.#report = report;
  }

  /** Reads now; while it reads already, once more after that. */
  read(): void {
    if (this.#reading) {
      this.#stale = true;
      return;
    }
    this.#reading = true;
    this.#stale = false;
    this.#read()
      .then((records) => this.#took(records))
      .catch((problem: unknown) => this.#failed(problem));
  }

  close(): void {
    this.#closed = true;
    this.#unwatch?.();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #took(records: ThreadRecords): void {
    this.#reading = false;
    if (this.#closed) return;
    this.#report(null);
    const unwatch = this.#watch(
      records.runs.map((run) => run.id),
      () => this.#later(SETTLE_MS),
    );
    this.#unwatch?.();
    this.#unwatch = unwatch;
    if (this.#stale) this.#later(SETTLE_MS);
  }

  #failed(problem: unknown): void {
    this.#reading = false;
    if (this.#closed) return;
    this.#report(problem);
    this.#later(AGAIN_MS);
  }

  #later(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.read();
    }, ms);
  }
}
