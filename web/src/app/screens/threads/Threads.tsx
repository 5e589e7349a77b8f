import { type Thread, useGetThreadsInfiniteQuery } from "@runstone/react";
import { useCallback, useMemo } from "react";
import { useLocation } from "wouter";
import { Age } from "../../design/Age.tsx";
import { type Column, Grid } from "../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { shortId } from "../../format/runs.ts";
import { visible } from "../../format/visible.ts";
import { text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptPages } from "../../shell/places.ts";
import { RunLink } from "../run/Facts.tsx";
import styles from "./Threads.module.css";

const SCHEMA = { row: text };
/** No row is lower, on a wide or a narrow page. */
const LOWEST_ROW_PX = 32;

const COLUMNS: readonly Column<Thread>[] = [
  {
    name: "Thread",
    width: "minmax(10rem, 2fr)",
    narrow: "first",
    cell: (one) => nameOf(one),
  },
  {
    name: "Run",
    width: "8rem",
    narrow: "second",
    cell: (one) =>
      one.run_id === null ? (
        <span className={styles.quiet}>a conversation</span>
      ) : (
        <RunLink id={one.run_id} />
      ),
  },
  {
    name: "Id",
    width: "minmax(6rem, 1fr)",
    cell: (one) => (
      <code className={styles.id} title={one.id}>
        {one.id}
      </code>
    ),
  },
  {
    name: "Messages",
    width: "6rem",
    align: "end",
    narrow: "second",
    cell: (one) => formatWhole(one.messages),
  },
  {
    name: "Updated",
    width: "5rem",
    align: "end",
    narrow: "second",
    cell: (one) => <Age at={one.updated_at} />,
  },
];

/** What a thread is called: by its title, else by the run whose own it is. */
function nameOf(thread: Thread): string {
  if (thread.title !== null) return visible(thread.title);
  return thread.run_id === null ? visible(thread.id) : `of run ${shortId(thread.run_id)}`;
}

/** All conversations, the newest first: those of people, and the own ones of runs. */
export default function Threads() {
  const { data, error, hasNextPage, isFetching, fetchNextPage } = useGetThreadsInfiniteQuery();
  const [{ row }, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const threads = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  const { scroll, reaches } = useKeptPages("threads", {
    rows: threads.length,
    height: LOWEST_ROW_PX,
    hasMore: hasNextPage && error === undefined,
    more: onEnd,
  });
  if (data === undefined || !reaches)
    return error === undefined ? <p className={styles.loading}>Loading…</p> : <ProblemNotice error={error} />;
  if (threads.length === 0)
    return (
      <Notice title="There are no threads yet">
        <p>
          A run&apos;s messages are in a thread of its own:{" "}
          <code>run.message(&quot;assistant&quot;, text)</code>.
        </p>
      </Notice>
    );
  return (
    <div className={styles.screen}>
      <h1 className="visually-hidden">Threads</h1>
      <Grid
        label="Threads"
        columns={COLUMNS}
        rows={threads.map((thread) => ({ key: thread.id, value: thread }))}
        selected={row || null}
        onSelect={(key) => set({ row: key })}
        onOpen={(key) => navigate(`/threads/${encodeURIComponent(key)}`)}
        onEnd={onEnd}
        scroll={scroll}
      />
    </div>
  );
}
