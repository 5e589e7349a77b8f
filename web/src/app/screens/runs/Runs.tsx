import {
  BUCKETS,
  type Page,
  type Run,
  useGetRunCountsQuery,
  useGetRunsInfiniteQuery,
  useLazyGetRunsPageQuery,
} from "@runstone/react";
import { useCallback, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type Column, Grid } from "../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { statusWord } from "../../design/StatusBadge.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { nameOf } from "../../format/runs.ts";
import { text } from "../../location/codecs.ts";
import {
  parseQuery,
  printQuery,
  RUNS_STATE,
  type RunsState,
  toCountsQuery,
  toRunsQuery,
} from "../../location/filters.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptPages } from "../../shell/places.ts";
import { useShortcuts } from "../../shell/shortcuts.ts";
import { BulkBar } from "./BulkBar.tsx";
import { FEW_RUN_COLUMNS, RUN_COLUMNS } from "./columns.tsx";
import { Peek } from "./Peek.tsx";
import styles from "./Runs.module.css";
import { Views } from "./Views.tsx";

const SCHEMA = { ...RUNS_STATE, peek: text, row: text };
const PAGE = 100;
/** The stream tells of runs that enter or leave a state at once; what they spend meanwhile is asked for now and then. */
const STILL_FRESH = { pollingInterval: 15_000, skipPollingIfUnfocused: true };
/** No row is lower, on a wide or a narrow page. */
const LOWEST_ROW_PX = 32;
const SORTS = ["updated", "created", "ended", "duration", "cost"] as const;

/** All runs, as the filters in the URL say. */
export default function Runs() {
  const [state, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const filters = useMemo(() => toRunsQuery(filtersOf(state)), [state]);
  const query = useMemo(() => ({ ...filters, limit: PAGE }), [filters]);
  const found = useGetRunsInfiniteQuery(query, STILL_FRESH);
  const counts = useGetRunCountsQuery(toCountsQuery(filters));
  const rows = useMemo(() => rowsOf(found.data?.pages.flatMap((page) => page.items) ?? []), [found.data]);
  const box = useRef<HTMLInputElement>(null);
  useShortcuts([{ keys: "/", does: "Filter the runs", act: () => box.current?.focus() }]);
  const { hasNextPage, isFetching, fetchNextPage } = found;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const mark = useCallback((id: string) => setMarked((before) => new Set(toggled([...before], id))), []);
  useShortcuts([
    { keys: "x", does: "Mark the run", act: () => (state.row === "" ? undefined : mark(state.row)) },
  ]);
  const columns = useMemo(
    () => [markColumn(marked, mark), ...(state.peek === "" ? RUN_COLUMNS : FEW_RUN_COLUMNS)],
    [marked, mark, state.peek],
  );
  const [readPage] = useLazyGetRunsPageQuery();
  const readAll = useCallback(async () => {
    const all: Run[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<Run> = await readPage({ query: { ...filters, limit: 1_000 }, cursor }).unwrap();
      all.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return all;
  }, [filters, readPage]);
  const total = totalOf(counts.data);
  const place = `runs:${JSON.stringify(filters)}`;
  const { scroll, reaches } = useKeptPages(place, {
    rows: rows.length,
    height: LOWEST_ROW_PX,
    hasMore: hasNextPage && found.error === undefined,
    more: onEnd,
  });
  return (
    <div className={styles.screen}>
      <h1 className="visually-hidden">Runs</h1>
      <Views state={filtersOf(state)} onChoose={set} />
      <Filters state={state} set={set} box={box} />
      <div className={styles.counts}>
        {BUCKETS.map((bucket) => (
          <button
            key={bucket}
            type="button"
            className={styles.chip}
            aria-pressed={state.bucket.includes(bucket)}
            onClick={() => set({ bucket: toggled(state.bucket, bucket) }, { push: true })}
          >
            {statusWord(bucket)}{" "}
            <b>{counts.data?.[bucket] === undefined ? "" : formatWhole(counts.data[bucket])}</b>
          </button>
        ))}
        <span className={styles.space} />
        <label className={styles.sort}>
          Sort by
          <select
            value={state.sort}
            onChange={(event) => set({ sort: event.target.value as RunsState["sort"] }, { push: true })}
          >
            {SORTS.map((sort) => (
              <option key={sort}>{sort}</option>
            ))}
          </select>
        </label>
        <button
          type="button"
          className={styles.chip}
          onClick={() => set({ order: state.order === "desc" ? "asc" : "desc" }, { push: true })}
        >
          {state.order === "desc" ? "↓ highest first" : "↑ lowest first"}
        </button>
      </div>
      <BulkBar
        marked={rows.filter((row) => marked.has(row.key)).map((row) => row.value)}
        readAll={readAll}
        onClear={() => setMarked(new Set())}
      />
      <div className={styles.body}>
        {found.error !== undefined && rows.length === 0 ? (
          <ProblemNotice error={found.error} />
        ) : rows.length === 0 || !reaches ? (
          <Nothing
            loading={found.isLoading || !reaches}
            filtered={Object.keys(toCountsQuery(filters)).length > 0}
          />
        ) : (
          <Grid
            key={place}
            label="Runs"
            columns={columns}
            rows={rows}
            total={total}
            selected={state.row || null}
            onSelect={(row) => set(state.peek === "" ? { row } : { row, peek: row })}
            onOpen={(id) => navigate(`/runs/${encodeURIComponent(id)}`)}
            onPeek={(id) => set({ peek: state.peek === id ? "" : id })}
            onEnd={onEnd}
            scroll={scroll}
          />
        )}
        {state.peek === "" ? null : <Peek runId={state.peek} onClose={() => set({ peek: "" })} />}
      </div>
    </div>
  );
}

/** Boxes to mark runs for what is done with many. */
function markColumn(marked: ReadonlySet<string>, mark: (id: string) => void): Column<Run> {
  return {
    name: "Mark",
    width: "2.5rem",
    cell: (run) => (
      <input
        type="checkbox"
        tabIndex={-1}
        aria-label={`Mark ${nameOf(run)}`}
        checked={marked.has(run.id)}
        onChange={() => mark(run.id)}
      />
    ),
  };
}

function filtersOf({
  peek: _peek,
  row: _row,
  ...filters
}: RunsState & { peek: string; row: string }): RunsState {
  return filters;
}

function rowsOf(runs: readonly Run[]) {
  // A run that changes while pages are fetched may come on two of them.
  return [...new Map(runs.map((run) => [run.id, { key: run.id, value: run }])).values()];
}

function totalOf(counts: Partial<Record<string, number>> | undefined): number {
  return BUCKETS.reduce((sum, bucket) => sum + (counts?.[bucket] ?? 0), 0);
}

function toggled<T>(list: readonly T[], one: T): T[] {
  return list.includes(one) ? list.filter((other) => other !== one) : [...list, one];
}

interface FiltersProps {
  state: RunsState;
  set: (change: Partial<RunsState>, options?: { push?: boolean }) => void;
  box: React.RefObject<HTMLInputElement | null>;
}

/** One box for all filters: words to search for, and `s:failed a:name label.team:core`. */
function Filters({ state, set, box }: FiltersProps) {
  const printed = printQuery(state);
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <form
      className={styles.filters}
      onSubmit={(event) => {
        event.preventDefault();
        set(parseQuery(draft ?? printed), { push: true });
        setDraft(null);
      }}
    >
      <input
        ref={box}
        type="search"
        aria-label="Filter the runs"
        placeholder="Words, or s:failed a:agent k:workflow w:name label.team:core"
        value={draft ?? printed}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={() => {
          if (draft !== null) set(parseQuery(draft), { push: true });
          setDraft(null);
        }}
      />
    </form>
  );
}

function Nothing({ loading, filtered }: { loading: boolean; filtered: boolean }) {
  if (loading) return <Notice title="Loading…" />;
  if (filtered) return <Notice title="No run is as these filters say." />;
  return (
    <Notice title="No runs yet.">
      <p>
        Start one: <code>runstone run NAME</code>
      </p>
    </Notice>
  );
}
