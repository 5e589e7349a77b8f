import {
  BUCKETS,
  type Run,
  type RunGroup,
  type RunsQuery,
  useGetRunGroupsQuery,
  useGetRunsInfiniteQuery,
} from "@runstone/react";
import { useEffect, useMemo } from "react";
import type { Row } from "../../design/Grid.tsx";
import { statusWord } from "../../design/StatusBadge.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { visible } from "../../format/visible.ts";
import styles from "./Runs.module.css";

/** Runs of a group that are there, and how more of them come. */
export interface Feed {
  runs: readonly Run[];
  hasMore: boolean;
  more: () => void;
}

type By = string;
/** So many groups are unfolded by themselves; each is a list that the server is asked for. */
const OPEN = 6;
const PAGE = 50;
const HEAD = "group:";
const MORE = "more:";
const NONE: readonly RunGroup[] = [];
/** The server asks so, too; what a person does changes groups at once, by the stream. */
const STILL_FRESH = { pollingInterval: 15_000, skipPollingIfUnfocused: true };

/** Whether a row's key is that of a group's head, or of what leads to more of a group. */
export function isHead(key: string): boolean {
  return key.startsWith(HEAD) || key.startsWith(MORE);
}

export function isMore(key: string): boolean {
  return key.startsWith(MORE);
}

/** The key of the row that heads a group. */
export function headOf(group: RunGroup): string {
  return `${HEAD}${group.key}`;
}

/** The group whose head, or whose last row, has that key. */
export function groupAt(groups: readonly RunGroup[], key: string): RunGroup | undefined {
  const name = key.replace(MORE, "").slice(HEAD.length);
  return groups.find((group) => group.key === name);
}

/** Folds as they are kept: those groups that a person folded or unfolded otherwise than they come. */
export function toggledBy(folds: readonly string[], key: string): string[] {
  return folds.includes(key) ? folds.filter((one) => one !== key) : [...folds, key];
}

/** The groups of a list, in the server's order and with its counts. */
export function useRunGroups(by: By, query: RunsQuery) {
  const { data, error, isLoading } = useGetRunGroupsQuery(
    { query, by },
    { ...STILL_FRESH, skip: by === "none" },
  );
  const items = by === "none" ? NONE : (data?.items ?? NONE);
  return useMemo(
    () => ({
      items,
      error,
      isLoading,
      openOf: (folds: readonly string[]): ReadonlySet<string> =>
        new Set(
          items.flatMap((group, index) => {
            const key = headOf(group);
            return index < OPEN !== folds.includes(key) ? [key] : [];
          }),
        ),
    }),
    [items, error, isLoading],
  );
}

/** Keeps the runs of what is unfolded here; there is nothing of it to see. */
export function GroupFeeds({
  by,
  groups,
  open,
  query,
  onFeed,
}: {
  by: By;
  groups: readonly RunGroup[];
  open: ReadonlySet<string>;
  query: RunsQuery;
  onFeed: (key: string, feed: Feed) => void;
}) {
  return groups
    .filter((group) => open.has(headOf(group)))
    .map((group) => <GroupFeed key={group.key} query={feedKey(by, group, query)} onFeed={onFeed} />);
}

/** The list's own filters, and that of the group. */
function queryOf(by: By, group: RunGroup, query: RunsQuery): RunsQuery {
  if (by === "day")
    return {
      ...query,
      ...(group.updated_from !== null && { updated_from: group.updated_from }),
      ...(group.updated_to !== null && { updated_to: group.updated_to }),
    };
  return { ...query, [by]: [group.key] };
}

/** What the runs of a group are kept under: what is asked for, so that those of other filters are never shown. */
export function feedKey(by: By, group: RunGroup, query: RunsQuery): string {
  return JSON.stringify(queryOf(by, group, query));
}

interface FeedProps {
  query: string;
  onFeed: (key: string, feed: Feed) => void;
}

function GroupFeed({ query, onFeed }: FeedProps) {
  const asked = useMemo(() => ({ ...(JSON.parse(query) as RunsQuery), limit: PAGE }), [query]);
  const { data, hasNextPage, fetchNextPage } = useGetRunsInfiniteQuery(asked, STILL_FRESH);
  useEffect(() => {
    if (data === undefined) return;
    const runs = [...new Map(data.pages.flatMap((page) => page.items).map((run) => [run.id, run])).values()];
    onFeed(query, { runs, hasMore: hasNextPage, more: () => void fetchNextPage() });
  }, [data, hasNextPage, fetchNextPage, query, onFeed]);
  return null;
}

/** The rows of a list in groups: each head, and below it what is there of an unfolded one. */
export function groupRows(
  by: By,
  groups: readonly RunGroup[],
  open: ReadonlySet<string>,
  feedOf: (group: RunGroup) => Feed | undefined,
): Row<Run>[] {
  return groups.flatMap((group) => {
    const key = headOf(group);
    const expanded = open.has(key);
    const feed = expanded ? feedOf(group) : undefined;
    const head = {
      key,
      value: NO_RUN,
      level: 1,
      expanded,
      head: <Head by={by} group={group} expanded={expanded} />,
    };
    const rows = (feed?.runs ?? []).map((run): Row<Run> => ({ key: run.id, value: run, level: 2 }));
    const left = feed?.hasMore ? group.count - rows.length : 0;
    const more: Row<Run>[] =
      left > 0 && feed !== undefined
        ? [{ key: `${MORE}${key}`, value: NO_RUN, level: 2, head: <More count={left} onClick={feed.more} /> }]
        : [];
    return [head, ...rows, ...more];
  });
}

/** Heads are no runs, and say what they are by themselves. */
const NO_RUN = { id: "" } as Run;

function Head({ by, group, expanded }: { by: By; group: RunGroup; expanded: boolean }) {
  return (
    <>
      <span aria-hidden="true" className={styles.fold}>
        {expanded ? "▾" : "▸"}
      </span>
      <b className={styles.groupName}>{groupName(by, group)}</b>
      <span className={styles.groupCount}>{formatWhole(group.count)}</span>
    </>
  );
}

function More({ count, onClick }: { count: number; onClick: () => void }) {
  return (
    <button type="button" tabIndex={-1} className={styles.more} onClick={onClick}>
      {formatWhole(count)} more
    </button>
  );
}

const NOBODY: Record<string, string> = {
  agent_id: "no agent",
  definition_id: "no workflow",
  thread_id: "no thread",
};

/** What the runs of a group have in common, in words. */
export function groupName(by: By, group: RunGroup): string {
  if (group.key === "") return NOBODY[by] ?? "none";
  if (by === "bucket") return BUCKETS.some((one) => one === group.key) ? statusWord(group.key) : group.key;
  if (by !== "day") return visible(group.key);
  const begin = new Date(group.updated_from ?? `${group.key}T00:00:00`);
  return begin.toLocaleDateString(undefined, {
    weekday: "long",
    year: "numeric",
    month: "long",
    day: "numeric",
  });
}
