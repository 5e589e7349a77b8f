import type { Run } from "@runstone/react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { useKnownNow } from "../../design/Clock.tsx";
import { formatDuration } from "../../format/durations.ts";
import { formatCost, formatWhole } from "../../format/numbers.ts";
import { elapsedOf, livenessOf, shortId, tokensOf } from "../../format/runs.ts";
import { formatTime } from "../../format/times.ts";
import { visible } from "../../format/visible.ts";
import styles from "./Facts.module.css";

/** The facts of a run, those that there are. */
export function Facts({ run }: { run: Run }) {
  const now = useKnownNow();
  const own = run.totals?.own;
  const subtree = run.totals?.subtree;
  const facts: [string, ReactNode][] = [
    ["Kind", run.kind.replaceAll("_", " ")],
    ["Agent", run.agent_id],
    ["Workflow", run.definition_id],
    ["Reason", run.status_reason === null ? null : visible(run.status_reason)],
    ["Process", livenessOf(run, now)],
    ["Attempt", run.attempt > 1 ? run.attempt : null],
    ["Elapsed", formatDuration(elapsedOf(run, now))],
    ["Active", formatDuration(own?.active_ms)],
    ["Created", formatTime(run.created_at)],
    ["Ended", run.completed_at === null ? null : formatTime(run.completed_at)],
    ["Wakes", run.wake_at === null ? null : formatTime(run.wake_at)],
    ["Parent", run.parent_run_id === null ? null : <RunLink id={run.parent_run_id} />],
    ["Thread", run.worker_thread_id === null ? null : <ThreadLink id={run.worker_thread_id} />],
    ["Started in", run.parent_thread_id === null ? null : <ThreadLink id={run.parent_thread_id} />],
    ["Forked from", run.forked_from === null ? null : <RunLink id={run.forked_from} />],
    ["Tokens", subtree === undefined || subtree.requests === 0 ? null : formatWhole(tokensOf(subtree))],
    ["Own tokens", own === undefined || own.requests === 0 ? null : formatWhole(tokensOf(own))],
    [
      "Cost",
      subtree === undefined || subtree.requests === 0 ? null : formatCost(subtree.cost_usd, subtree.complete),
    ],
    ["Own cost", own === undefined || own.requests === 0 ? null : formatCost(own.cost_usd, own.complete)],
    ...Object.entries(run.labels).map(
      ([name, value]) => [visible(`Label ${name}`), visible(value)] as [string, ReactNode],
    ),
    ["Id", <code>{run.id}</code>],
  ];
  return (
    <dl className={styles.facts}>
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A link to a run, by the end of its id. */
export function RunLink({ id }: { id: string }) {
  return (
    <Link href={`/runs/${encodeURIComponent(id)}`} title={id}>
      <code>{shortId(id)}</code>
    </Link>
  );
}

/** A link to a thread, by the end of its id. */
function ThreadLink({ id }: { id: string }) {
  return (
    <Link href={`/threads/${encodeURIComponent(id)}`} title={id}>
      <code>{shortId(id)}</code>
    </Link>
  );
}
