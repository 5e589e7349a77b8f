import type { Run } from "@runstone/react";
import { Age } from "../../design/Age.tsx";
import { useKnownNow } from "../../design/Clock.tsx";
import type { Column } from "../../design/Grid.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { formatDuration } from "../../format/durations.ts";
import { formatCost, formatCount } from "../../format/numbers.ts";
import { elapsedOf, lineOf, livenessOf, nameOf, shortId, tokensOf } from "../../format/runs.ts";
import styles from "./columns.module.css";

/** What a row of runs shows: state, reason and liveness apart, and sums of the whole subtree as the server keeps them. */
export const RUN_COLUMNS: readonly Column<Run>[] = [
  { name: "Run", width: "minmax(12rem, 2.2fr)", narrow: "first", cell: (run) => <Name run={run} /> },
  { name: "State", width: "7.5rem", narrow: "first", cell: (run) => <StatusBadge status={run.status} /> },
  { name: "Now", width: "minmax(8rem, 2fr)", narrow: "second", cell: (run) => <Line run={run} /> },
  { name: "Process", width: "9.5rem", cell: (run) => <Liveness run={run} /> },
  { name: "Elapsed", width: "5.5rem", align: "end", cell: (run) => <Elapsed run={run} /> },
  {
    name: "Tokens",
    width: "4.5rem",
    align: "end",
    cell: (run) => (run.totals === undefined ? "" : formatCount(tokensOf(run.totals.subtree))),
  },
  { name: "Cost", width: "5rem", align: "end", narrow: "second", cell: (run) => <Cost run={run} /> },
  {
    name: "Updated",
    width: "4rem",
    align: "end",
    narrow: "second",
    cell: (run) => <Age at={run.updated_at} />,
  },
];

/** The first column, in which what finished since the last visit is marked. */
export function newsColumn(lastVisit: number): Column<Run> {
  return {
    name: "Run",
    width: "minmax(12rem, 2.2fr)",
    narrow: "first",
    cell: (run) => (
      <Name run={run} isNew={run.completed_at !== null && Date.parse(run.completed_at) > lastVisit} />
    ),
  };
}

/** For beside something else, where there is less room. */
export const FEW_RUN_COLUMNS: readonly Column<Run>[] = RUN_COLUMNS.filter(
  (column) => column.name !== "Process" && column.name !== "Tokens" && column.name !== "Elapsed",
);

function Name({ run, isNew = false }: { run: Run; isNew?: boolean }) {
  return (
    <>
      {isNew ? (
        <span className={styles.new} title="It finished since your last visit">
          new
        </span>
      ) : null}
      <span className={styles.name}>{nameOf(run)}</span>
      <code className={styles.id} title={run.id}>
        {shortId(run.id)}
      </code>
      {run.attempt > 1 ? (
        <span className={styles.quiet} title={`attempt ${run.attempt}`}>
          try {run.attempt}
        </span>
      ) : null}
      {run.reused ? (
        <span className={styles.quiet} title="finished before, and used again by the present attempt">
          reused
        </span>
      ) : null}
      {run.forked_from !== null ? <span className={styles.quiet}>fork</span> : null}
    </>
  );
}

function Line({ run }: { run: Run }) {
  return <span className={styles.line}>{lineOf(run)}</span>;
}

/** What is known of the process, apart from the state. */
export function Liveness({ run }: { run: Run }) {
  const text = livenessOf(run, useKnownNow());
  return <span className={styles.quiet}>{text}</span>;
}

/** So long it went on; of a live run it moves. */
export function Elapsed({ run }: { run: Run }) {
  return <>{formatDuration(elapsedOf(run, useKnownNow()))}</>;
}

/** The cost of the run with all below it. */
export function Cost({ run }: { run: Run }) {
  if (run.totals === undefined) return null;
  const { requests, cost_usd: cost, complete } = run.totals.subtree;
  if (requests === 0) return null;
  return <span className={cost === null ? styles.quiet : undefined}>{formatCost(cost, complete)}</span>;
}
