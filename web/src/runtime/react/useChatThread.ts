import { useEffect, useState } from "react";
import { useStore } from "react-redux";
import { type KnownThread, rehydrateThread } from "../chat/reading.ts";
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
      (known) => rehydrateThread(threadId, known)(store.dispatch, store.getState),
      (runIds, after, changed) => live.watch(runIds, after, changed),
      setProblem,
    );
    thread.read();
    return () => thread.close();
  }, [live, store, threadId]);
  return problem;
}

type Watch = (
  runIds: readonly string[],
  after: string | null,
  changed: (runId: string | null) => void,
) => () => void;

/** Reads a thread, one reading at a time, and again what went on meanwhile. */
export class ThreadFollower {
  #read: (known: KnownThread | null) => Promise<ThreadRecords>;
  #watch: Watch;
  #report: (problem: unknown) => void;
  #unwatch: (() => void) | null = null;
  #watched: ReadonlySet<string> = new Set();
  #records: ThreadRecords | null = null;
  /** Runs that went on since they were read last; null where any may have. */
  #changed: Set<string> | null = new Set();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #reading = false;
  #stale = false;
  #closed = false;

  constructor(
    read: (known: KnownThread | null) => Promise<ThreadRecords>,
    watch: Watch,
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
    const changed = this.#changed;
    this.#changed = new Set();
    // Where more may have happened than was told, it may have been removed, too: nothing of before is taken over.
    const known = this.#records === null || changed === null ? null : { records: this.#records, changed };
    this.#read(known)
      .then((records) => this.#took(records))
      .catch((problem: unknown) => this.#failed(problem, changed));
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
    this.#records = records;
    const runIds = records.runs.map((run) => run.id);
    if (this.#unwatch === null || runIds.some((id) => !this.#watched.has(id)))
      this.#follow(runIds, records.asOf);
    if (this.#stale) this.#later(SETTLE_MS);
  }

  /** From when they were read on: what happened to new ones before they were followed is told, too. */
  #follow(runIds: readonly string[], asOf: string | undefined): void {
    const unwatch = this.#watch(runIds, asOf ?? null, (runId) => {
      if (runId === null) this.#changed = null;
      else this.#changed?.add(runId);
      this.#later(SETTLE_MS);
    });
    this.#unwatch?.();
    this.#unwatch = unwatch;
    this.#watched = new Set(runIds);
  }

  #failed(problem: unknown, changed: ReadonlySet<string> | null): void {
    this.#reading = false;
    if (this.#closed) return;
    if (changed === null) this.#changed = null;
    else for (const id of changed) this.#changed?.add(id);
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
