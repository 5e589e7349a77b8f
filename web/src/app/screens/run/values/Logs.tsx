import { type Run, useGetLogsInfiniteQuery } from "@runstone/react";
import { useEffect, useMemo } from "react";
import { Button } from "../../../design/Button.tsx";
import { Notice, ProblemNotice } from "../../../design/Notice.tsx";
import { TextViewer } from "../../../design/TextViewer.tsx";
import { formatClock } from "../../../format/times.ts";
import styles from "./values.module.css";

/** So many pages come by themselves; a log of more goes on when that is asked for. */
const PAGES = 10;

/** What a run said and printed, in order. */
export default function Logs({ run }: { run: Run }) {
  const { data, error, hasNextPage, isFetching, fetchNextPage } = useGetLogsInfiniteQuery(run.id);
  const pages = data?.pages.length ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetching && pages < PAGES) void fetchNextPage();
  }, [hasNextPage, isFetching, pages, fetchNextPage]);
  const text = useMemo(
    () =>
      (data?.pages ?? [])
        .flatMap((page) => page.items)
        .map((line) => `${formatClock(line.timestamp)}  ${line.role}  ${line.text}`)
        .join("\n"),
    [data],
  );
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  if (text === "") return <Notice title="It has said and printed nothing." />;
  return (
    <div className={styles.values}>
      <TextViewer text={text} label="Log" />
      {hasNextPage ? (
        <div className={styles.choices}>
          <Button disabled={isFetching} onClick={() => void fetchNextPage()}>
            {isFetching ? "Loading…" : "More lines"}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
