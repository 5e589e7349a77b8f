import { type Attempt, elapsedBetween, type Run, useGetAttemptsQuery } from "@runstone/react";
import { useKnownNow } from "../../design/Clock.tsx";
import { statusWord } from "../../design/StatusBadge.tsx";
import { formatDuration } from "../../format/durations.ts";
import { formatTime } from "../../format/times.ts";
import { visible } from "../../format/visible.ts";
import styles from "./Overview.module.css";

/** So many of the newest are listed; the timeline draws them all. */
const SHOWN = 20;

/** When the run was tried, and how each attempt ended, the newest first. */
export function Attempts({ run }: { run: Run }) {
  const { data = [] } = useGetAttemptsQuery(run.id);
  if (data.length === 0) return null;
  return (
    <section aria-labelledby="attempts">
      <h2 id="attempts">Attempts</h2>
      <ol className={styles.attempts}>
        {data
          .slice(-SHOWN)
          .reverse()
          .map((one) => (
            <AttemptLine key={one.number} attempt={one} run={run} />
          ))}
      </ol>
      {data.length > SHOWN ? (
        <p className={styles.quiet}>
          The newest {SHOWN} of {data.length}; the timeline draws them all.
        </p>
      ) : null}
    </section>
  );
}

function AttemptLine({ attempt, run }: { attempt: Attempt; run: Run }) {
  const now = useKnownNow();
  const lasts = attempt.ended_at === null && run.status === "running" && attempt.number === run.attempt;
  const end = attempt.ended_at ?? (lasts ? new Date(now).toISOString() : null);
  const outcome = attempt.outcome === null ? (lasts ? "at work" : "lost") : statusWord(attempt.outcome);
  const took = formatDuration(elapsedBetween(attempt.started_at, end));
  return (
    <li data-status={attempt.outcome ?? undefined}>
      <b>{attempt.number}</b> {[outcome, took].filter((word) => word !== "").join(" · ")}
      {attempt.reason === null ? null : <span> · {visible(attempt.reason)}</span>}
      <span className={styles.quiet}>
        {" "}
        began <time dateTime={attempt.started_at}>{formatTime(attempt.started_at)}</time>
      </span>
    </li>
  );
}
