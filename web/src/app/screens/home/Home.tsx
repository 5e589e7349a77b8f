import {
  type Bucket,
  bucketOf,
  type InputRequest,
  type Run,
  type RunCounts,
  useGetInputsQuery,
  useGetRunCountsQuery,
  useGetRunsInfiniteQuery,
} from "@runstone/react";
import { Link } from "wouter";
import { useKnownNow } from "../../design/Clock.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { factsOf, lineOf, nameOf, shortId } from "../../format/runs.ts";
import { Question } from "../../questions/Question.tsx";
import { FirstRun } from "./FirstRun.tsx";
import styles from "./Home.module.css";
import { lastVisit } from "./visits.ts";

/** The order in which people want to see them: who waits for somebody, what went wrong, what works, what is done. */
const SECTIONS: readonly { bucket: Bucket; title: string }[] = [
  { bucket: "needs_input", title: "Needs input" },
  { bucket: "failed", title: "Failed" },
  { bucket: "stopped", title: "Stopped" },
  { bucket: "working", title: "Working" },
  { bucket: "completed", title: "Completed" },
];

/** The stream tells of runs that enter or leave a state at once; what they spend meanwhile is asked for now and then. */
const STILL_FRESH = { pollingInterval: 15_000, skipPollingIfUnfocused: true };
const OPEN: readonly Bucket[] = ["needs_input", "failed", "stopped", "working"];
const OPEN_SHOWN = 200;
const DONE_SHOWN = 10;
/** So many of a section are listed; the rest is one step away. */
const SHOWN = 25;

/** What needs somebody, what went wrong, what works, and what is done. */
export default function Home() {
  const open = useGetRunsInfiniteQuery({ bucket: OPEN, limit: OPEN_SHOWN, sort: "updated" }, STILL_FRESH);
  const done = useGetRunsInfiniteQuery({ bucket: ["completed"], limit: DONE_SHOWN, sort: "updated" });
  const counts = useGetRunCountsQuery({});
  const inputs = useGetInputsQuery({ status: "open", limit: 100 });
  const runs = [...(open.data?.pages[0]?.items ?? []), ...(done.data?.pages[0]?.items ?? [])];
  const asking = new Set((inputs.data?.items ?? []).map((input) => input.run_id));
  const error = open.error ?? done.error;
  if (runs.length === 0) {
    if (error !== undefined) return <ProblemNotice error={error} />;
    return open.isLoading || done.isLoading ? <p className={styles.loading}>Loading…</p> : <FirstRun />;
  }
  return (
    <div className={styles.screen}>
      <h1 className="visually-hidden">Home</h1>
      {SECTIONS.map(({ bucket, title }) => (
        <Section
          key={bucket}
          bucket={bucket}
          title={title}
          runs={sectionOf(runs, bucket, asking)}
          inputs={inputs.data?.items ?? []}
          counts={counts.data}
        />
      ))}
    </div>
  );
}

/** Interrupted runs come before those that somebody stopped: the one can go on, the other was meant. */
function sectionOf(runs: readonly Run[], bucket: Bucket, asking: ReadonlySet<string>): Run[] {
  const found = [...new Map(runs.map((run) => [run.id, run])).values()].filter(
    (run) => (asking.has(run.id) ? "needs_input" : bucketOf(run)) === bucket,
  );
  return found.sort((a, b) => Number(b.status === "interrupted") - Number(a.status === "interrupted"));
}

interface SectionProps {
  bucket: Bucket;
  title: string;
  runs: readonly Run[];
  inputs: readonly InputRequest[];
  counts: RunCounts | undefined;
}

function Section({ bucket, title, runs, inputs, counts }: SectionProps) {
  const total = counts?.[bucket] ?? runs.length;
  if (total === 0 && runs.length === 0) return null;
  const shown = runs.slice(0, SHOWN);
  return (
    <section aria-labelledby={`home-${bucket}`} className={styles.section}>
      <h2 id={`home-${bucket}`} className={styles.heading}>
        {title} <span className={styles.count}>{formatWhole(total)}</span>
      </h2>
      <ul className={styles.list}>
        {shown.map((run) => (
          <HomeRow key={run.id} run={run} inputs={inputs.filter((input) => input.run_id === run.id)} />
        ))}
      </ul>
      {total > shown.length ? (
        <Link href={`/runs?bucket=${bucket}`} className={styles.more}>
          All {formatWhole(total)}
        </Link>
      ) : null}
    </section>
  );
}

function HomeRow({ run, inputs }: { run: Run; inputs: readonly InputRequest[] }) {
  const now = useKnownNow();
  const ended = run.completed_at;
  const isNew = ended !== null && Date.parse(ended) > lastVisit();
  return (
    <li className={styles.row}>
      <div className={styles.first}>
        <StatusBadge status={run.status} />
        <Link href={`/runs/${encodeURIComponent(run.id)}`} className={styles.name}>
          {nameOf(run)}
        </Link>
        <code className={styles.quiet}>{shortId(run.id)}</code>
        {isNew ? <span className={styles.new}>new</span> : null}
        <span className={styles.facts}>{factsOf(run, now).join(" · ")}</span>
      </div>
      {lineOf(run) === "" || inputs.length > 0 ? null : <p className={styles.line}>{lineOf(run)}</p>}
      {inputs.map((input) => (
        <Question key={input.id} input={input} asker={run.agent_id ?? run.definition_id} />
      ))}
    </li>
  );
}
