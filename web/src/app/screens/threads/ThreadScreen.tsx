import {
  type Message,
  useGetRunsInfiniteQuery,
  useGetThreadMessagesInfiniteQuery,
  useGetThreadQuery,
} from "@runstone/react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { Link, useParams } from "wouter";
import { Button } from "../../design/Button.tsx";
import { LongText } from "../../design/LongText.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { nameOf } from "../../format/runs.ts";
import { formatTime } from "../../format/times.ts";
import { visible } from "../../format/visible.ts";
import { RunLink } from "../run/Facts.tsx";
import styles from "./Threads.module.css";

/** A conversation: its messages, the run whose own it is, and the runs that were started from it. */
export default function ThreadScreen() {
  const { id = "" } = useParams<{ id: string }>();
  const { data: thread, error } = useGetThreadQuery(id);
  if (thread === undefined)
    return error === undefined ? <p className={styles.loading}>Loading…</p> : <ProblemNotice error={error} />;
  return (
    <div className={styles.screen}>
      <header className={styles.head}>
        <h1>{visible(thread.title ?? "Thread")}</h1>
        <code className={styles.id}>{thread.id}</code>
        <span className={styles.quiet}>
          {thread.messages === 1 ? "1 message" : `${formatWhole(thread.messages)} messages`}
        </span>
        {thread.run_id === null ? null : (
          <span>
            of run <RunLink id={thread.run_id} />
          </span>
        )}
      </header>
      <StartedRuns threadId={thread.id} />
      <Messages threadId={thread.id} />
    </div>
  );
}

/** The runs that were started from this conversation. */
function StartedRuns({ threadId }: { threadId: string }) {
  const { data } = useGetRunsInfiniteQuery({ thread_id: threadId, limit: 20 });
  const runs = data?.pages[0]?.items ?? [];
  if (runs.length === 0) return null;
  return (
    <section className={styles.runs} aria-label="Runs of this thread">
      {runs.map((run) => (
        <span key={run.id} className={styles.run}>
          <StatusBadge status={run.status} />
          <Link href={`/runs/${encodeURIComponent(run.id)}`}>{visible(nameOf(run))}</Link>
        </span>
      ))}
      {data?.pages[0]?.next_cursor ? (
        <Link href={`/runs?${new URLSearchParams({ q: threadId })}`}>more</Link>
      ) : null}
    </section>
  );
}

function Messages({ threadId }: { threadId: string }) {
  const { data, error, hasNextPage, isFetching, fetchNextPage } = useGetThreadMessagesInfiniteQuery(threadId);
  const scroller = useRef<HTMLDivElement>(null);
  const messages = useMemo(() => (data?.pages ?? []).flatMap((page) => page.items), [data]);
  const virtual = useVirtualizer({
    count: messages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 84,
    getItemKey: (index) => messages[index]?.id ?? index,
    overscan: 6,
  });
  if (data === undefined)
    return error === undefined ? <p className={styles.loading}>Loading…</p> : <ProblemNotice error={error} />;
  if (messages.length === 0) return <Notice title="There are no messages in it." />;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section ref={scroller} className={styles.scroller} aria-label="Messages" tabIndex={0}>
        <ol className={styles.messages} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const message = messages[item.index];
            if (message === undefined) return null;
            return (
              <li
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                className={styles.place}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <MessageView message={message} threadId={threadId} />
              </li>
            );
          })}
        </ol>
      </section>
      {hasNextPage ? (
        <div className={styles.more}>
          <Button disabled={isFetching} onClick={() => void fetchNextPage()}>
            {isFetching ? "Loading…" : "More messages"}
          </Button>
        </div>
      ) : null}
    </>
  );
}

function MessageView({ message, threadId }: { message: Message; threadId: string }) {
  return (
    <article className={styles.message} data-role={message.role}>
      <div className={styles.by}>
        <b>{visible(message.role)}</b>
        <time dateTime={message.timestamp}>{formatTime(message.timestamp)}</time>
        {message.run_id === null || threadId.startsWith(`${message.run_id}.`) ? null : (
          <RunLink id={message.run_id} />
        )}
        {(message.attempt ?? 1) > 1 ? <span>attempt {message.attempt}</span> : null}
      </div>
      <LongText text={message.text} label="the whole message" />
    </article>
  );
}
