import {
  BUCKETS,
  type Page,
  type Run,
  type RunGroup,
  useGetRunCountsQuery,
  useGetRunsInfiniteQuery,
  useLazyGetRunsPageQuery,
} from "@runstone/react";
import { useCallback, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type Column, Grid, type Row } from "../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { statusWord } from "../../design/StatusBadge.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { nameOf } from "../../format/runs.ts";
import { text, texts } from "../../location/codecs.ts";
import {
  GROUPINGS,
  parseQuery,
  printQuery,
  RUNS_STATE,
  type RunsState,
  toCountsQuery,
  toRunsQuery,
} from "../../location/filters.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useListKeys } from "../../shell/listKeys.ts";
import { useKeptPages } from "../../shell/places.ts";
import { useShortcuts } from "../../shell/shortcuts.ts";
import { useLastVisit, useMarksSeen } from "../../shell/visit.ts";
import { BulkBar } from "./BulkBar.tsx";
import { MOST_ORDERED } from "./bulk.ts";
import { FEW_RUN_COLUMNS, newsColumn, RUN_COLUMNS } from "./columns.tsx";
import {
  type Feed,
  feedKey,
  GroupFeeds,
  groupAt,
  groupRows,
  headOf,
  isHead,
  isMore,
  toggledBy,
  useRunGroups,
} from "./groups.tsx";
import { Peek } from "./Peek.tsx";
import styles from "./Runs.module.css";
import { Views } from "./Views.tsx";

const SCHEMA = { ...RUNS_STATE, peek: text, row: text, folds: texts };
type State = RunsState & { peek: string; row: string; folds: string[] };
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
  const list = useList(state, filters);
  const counts = useGetRunCountsQuery(toCountsQuery(filters));
  const { rows, more } = list;
  useMarksSeen(list.asOf);
  const box = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLDivElement>(null);
  useListKeys(body);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const mark = useCallback((id: string) => setMarked((before) => new Set(toggled([...before], id))), []);
  useShortcuts([
    { keys: "/", does: "Filter the runs", act: () => box.current?.focus() },
    {
      keys: "x",
      does: "Mark the run",
      act: () => (state.row === "" || isHead(state.row) ? undefined : mark(state.row)),
    },
    { keys: "u", does: "Unmark all", act: () => setMarked(new Set()) },
    {
      keys: "Escape",
      does: "Close the peek",
      act: () => (state.peek === "" ? undefined : set({ peek: "" })),
    },
  ]);
  const lastVisit = useLastVisit();
  const columns = useMemo(
    () => [
      markColumn(marked, mark),
      newsColumn(lastVisit),
      ...(state.peek === "" ? RUN_COLUMNS : FEW_RUN_COLUMNS).slice(1),
    ],
    [marked, mark, lastVisit, state.peek],
  );
  const readAll = useReadAll(filters);
  const place = `runs:${state.group}:${JSON.stringify(filters)}`;
  const { scroll, reaches } = useKeptPages(place, {
    rows: rows.length,
    height: LOWEST_ROW_PX,
    hasMore: !list.isWhole && list.error === undefined,
    more,
  });
  const toggle = (key: string) => set({ folds: toggledBy(state.folds, key) });
  const actOnHead = (key: string) => (isMore(key) ? list.moreOf(key) : toggle(key));
  return (
    <div className={styles.screen}>
      <h1 className="visually-hidden">Runs</h1>
      <Views state={filtersOf(state)} onChoose={set} />
      <Filters state={state} set={set} box={box} />
      <div className={styles.bars}>
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
          <button
            type="button"
            className={styles.chip}
            aria-pressed={state.top}
            title="Only runs that no other run started"
            onClick={() => set({ top: !state.top }, { push: true })}
          >
            top level only
          </button>
        </div>
        <div className={styles.tools}>
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
          <label className={styles.sort}>
            Group by
            <select
              value={state.group}
              onChange={(event) =>
                set({ group: event.target.value as RunsState["group"], folds: [] }, { push: true })
              }
            >
              {Object.entries(GROUPINGS).map(([group, word]) => (
                <option key={group} value={group}>
                  {word}
                </option>
              ))}
            </select>
          </label>
          <BulkBar
            marked={rows.flatMap((row) => (marked.has(row.key) ? [row.value] : []))}
            readAll={readAll}
            onClear={() => setMarked(new Set())}
          />
        </div>
      </div>
      {list.feeds}
      <div className={styles.body} ref={body}>
        {list.error !== undefined && rows.length === 0 ? (
          <ProblemNotice error={list.error} />
        ) : rows.length === 0 || !reaches ? (
          <Nothing
            loading={list.isLoading || !reaches}
            filtered={Object.keys(toCountsQuery(filters)).length > 0}
          />
        ) : (
          <Grid
            key={place}
            label="Runs"
            columns={columns}
            rows={rows}
            total={state.group === "none" ? totalOf(counts.data) : rows.length}
            grouped={state.group !== "none"}
            selected={state.row || null}
            onSelect={(row) => set(state.peek === "" || isHead(row) ? { row } : { row, peek: row })}
            onOpen={(id) => (isHead(id) ? actOnHead(id) : navigate(`/runs/${encodeURIComponent(id)}`))}
            onPeek={(id) =>
              isHead(id) ? actOnHead(id) : set({ peek: state.peek === id ? "" : id, row: id })
            }
            onToggle={toggle}
            onEnd={more}
            scroll={scroll}
          />
        )}
        {state.peek === "" ? null : <Peek runId={state.peek} onClose={() => set({ peek: "" })} />}
      </div>
    </div>
  );
}

/** The rows of the list: as they come in pages, or in their groups. */
function useList(state: State, filters: ReturnType<typeof toRunsQuery>) {
  const isFlat = state.group === "none";
  const query = useMemo(() => ({ ...filters, limit: PAGE }), [filters]);
  const found = useGetRunsInfiniteQuery(query, { ...STILL_FRESH, skip: !isFlat });
  const flat = useMemo(
    () => (isFlat ? rowsOf(found.data?.pages.flatMap((page) => page.items) ?? []) : []),
    [found.data, isFlat],
  );
  const groups = useRunGroups(state.group, filters);
  const [fed, setFed] = useState<ReadonlyMap<string, Feed>>(new Map());
  const onFeed = useCallback(
    (key: string, feed: Feed) => setFed((before) => new Map(before).set(key, feed)),
    [],
  );
  const open = useMemo(() => groups.openOf(state.folds), [groups, state.folds]);
  const feedOf = useCallback(
    (group: RunGroup) => fed.get(feedKey(state.group, group, filters)),
    [fed, state.group, filters],
  );
  const grouped = useMemo(
    () => groupRows(state.group, groups.items, open, feedOf),
    [state.group, groups, open, feedOf],
  );
  const { hasNextPage, isFetching, fetchNextPage } = found;
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  if (isFlat)
    return {
      rows: flat,
      error: found.error,
      isLoading: found.isLoading,
      isWhole: !hasNextPage,
      more,
      asOf: found.data?.pages[0]?.as_of,
      feeds: null,
      moreOf: nothing,
    };
  return {
    rows: grouped,
    error: groups.error,
    isLoading: groups.isLoading,
    isWhole: groups.items.every((group) => !open.has(headOf(group)) || feedOf(group) !== undefined),
    more: nothing,
    asOf: undefined,
    feeds: <GroupFeeds by={state.group} groups={groups.items} open={open} query={filters} onFeed={onFeed} />,
    moreOf: (key: string) => {
      const group = groupAt(groups.items, key);
      if (group !== undefined) feedOf(group)?.more();
    },
  };
}

function nothing(_key?: string): void {}

function useReadAll(filters: ReturnType<typeof toRunsQuery>): () => Promise<readonly Run[]> {
  const [readPage] = useLazyGetRunsPageQuery();
  return useCallback(async () => {
    const all: Run[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<Run> = await readPage({ query: { ...filters, limit: 1_000 }, cursor }).unwrap();
      all.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null && all.length < MOST_ORDERED);
    if (cursor !== null)
      throw { detail: `There are more than ${formatWhole(MOST_ORDERED)} runs: take narrower filters.` };
    return all;
  }, [filters, readPage]);
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

function filtersOf({ peek: _peek, row: _row, folds: _folds, ...filters }: State): RunsState {
  return filters;
}

function rowsOf(runs: readonly Run[]): Row<Run>[] {
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
        placeholder="Words, or s:failed a:agent k:workflow w:name t:thread is:top label.team:core"
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
