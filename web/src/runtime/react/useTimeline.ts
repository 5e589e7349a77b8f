import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useGetTimelineInfiniteQuery, useLazyGetTimelineChangesQuery } from "../api/histories.ts";
import type { TimelineRow } from "../wire/histories.ts";

/** What changed is asked for so often while the run goes on. */
const FRESH_MS = 2_000;

/** What was told since the pages were read. */
interface Changes {
  /** The pages' own moment: of others they are no changes. */
  of: string;
  asOf: string;
  rows: ReadonlyMap<string, TimelineRow>;
  critical: ReadonlySet<string> | null;
}

export interface TimelineView {
  /** The run and those below it as far as their pages were read, each once; undefined before the first came. */
  rows: readonly TimelineRow[] | undefined;
  hasMore: boolean;
  more: () => void;
  error: unknown;
}

/** The timeline of a run and all below it: pages are read once, and then what changed alone, however many there are. */
export function useTimeline(runId: string, isLive: boolean): TimelineView {
  const { data, error, hasNextPage, isFetching, fetchNextPage } = useGetTimelineInfiniteQuery(runId);
  const of = data?.pages[0]?.as_of ?? null;
  const [changes, setChanges] = useState<Changes | null>(null);
  const current = changes !== null && changes.of === of ? changes : null;
  useChanges(runId, of, current, setChanges, isLive);
  const base = useMemo(() => data?.pages.flatMap((page) => page.items), [data]);
  const rows = useMemo(() => (base === undefined ? undefined : withChanges(base, current)), [base, current]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  return { rows, hasMore: hasNextPage, more, error };
}

function useChanges(
  runId: string,
  of: string | null,
  current: Changes | null,
  set: (changes: Changes) => void,
  isLive: boolean,
): void {
  const [ask] = useLazyGetTimelineChangesQuery();
  const latest = useRef(current);
  latest.current = current;
  // Pages that were here before, or of a run that goes on, may have been overtaken.
  const isOld = useRef(of !== null);
  isOld.current ||= isLive;
  useEffect(() => {
    if (of === null || !isOld.current) return;
    let [isOver, isAsking] = [false, false];
    const read = async () => {
      if (isAsking || document.visibilityState === "hidden") return;
      isAsking = true;
      const before = latest.current ?? { of, asOf: of, rows: new Map(), critical: null };
      const told = await ask({ id: runId, since: before.asOf })
        .unwrap()
        .catch(() => null);
      isAsking = false;
      if (isOver || told === null || told.asOf === before.asOf) return;
      const rows = new Map(before.rows);
      for (const row of told.rows) rows.set(row.run_id, row);
      set({ of, asOf: told.asOf, rows, critical: new Set(told.critical) });
    };
    // Once more after the end, too: the last that happened may have come since.
    void read();
    if (!isLive) return;
    const timer = setInterval(() => void read(), FRESH_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [runId, of, ask, set, isLive]);
}

/** The pages with what changed since; a row that did not change stays the same object. */
function withChanges(base: readonly TimelineRow[], changes: Changes | null): TimelineRow[] {
  const rows = new Map<string, TimelineRow>();
  // A run that moves while pages are read may be on two of them: the later one is the news.
  for (const row of base) rows.set(row.run_id, row);
  for (const row of changes?.rows.values() ?? []) rows.set(row.run_id, row);
  const critical = changes?.critical;
  if (critical != null)
    for (const row of rows.values())
      if (row.critical !== critical.has(row.run_id))
        rows.set(row.run_id, { ...row, critical: !row.critical });
  return [...rows.values()];
}
