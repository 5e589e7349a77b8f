import {
  type Above,
  type Bucket,
  type InputRequest,
  type Run,
  type Sections,
  useGetSectionsQuery,
} from "@runstone/react";
import { Fragment, useRef } from "react";
import { Link } from "wouter";
import { useKnownNow } from "../../design/Clock.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { belowLine } from "../../format/belows.ts";
import { formatWhole } from "../../format/numbers.ts";
import { factsOf, lineOf, nameOf, shortId } from "../../format/runs.ts";
import { Question } from "../../questions/Question.tsx";
import { useShortcuts } from "../../shell/shortcuts.ts";
import { useLastVisit, useMarksSeen } from "../../shell/visit.ts";
import { FirstRun } from "./FirstRun.tsx";
import styles from "./Home.module.css";

const TITLES: Record<Bucket, string> = {
  needs_input: "Needs input",
  failed: "Failed",
  stopped: "Stopped",
  working: "Working",
  completed: "Completed",
};

/** The stream tells of runs that enter or leave a state at once; what they spend meanwhile is asked for now and then. */
const STILL_FRESH = { pollingInterval: 15_000, skipPollingIfUnfocused: true };
/** So many of what is done are listed; the rest is one step away. */
const DONE_SHOWN = 10;

/** What needs somebody, what went wrong, what works, and what is done: runs at the top, each with what is below it.
 * Whatever needs a person is listed by itself, wherever it is. */
export default function Home() {
  const { data, error, isLoading } = useGetSectionsQuery(undefined, STILL_FRESH);
  useMarksSeen(data?.as_of);
  const list = useRef<HTMLDivElement>(null);
  const step = (by: 1 | -1) => {
    const names = [...(list.current?.querySelectorAll<HTMLElement>("[data-name]") ?? [])];
    const at = names.indexOf(document.activeElement as HTMLElement);
    names[at < 0 ? 0 : Math.max(0, Math.min(names.length - 1, at + by))]?.focus();
  };
  useShortcuts([
    { keys: "j", does: "Next run", act: () => step(1) },
    { keys: "k", does: "Previous run", act: () => step(-1) },
  ]);
  if (data === undefined) {
    if (error !== undefined) return <ProblemNotice error={error} />;
    return isLoading ? <p className={styles.loading}>Loading…</p> : null;
  }
  const first = data.inputs[0]?.id;
  if (data.sections.every((section) => section.items.length === 0)) return <FirstRun />;
  return (
    <div className={styles.screen} ref={list}>
      <h1 className="visually-hidden">Home</h1>
      {data.sections.map((section) => (
        <Section key={section.bucket} section={section} found={data} first={first} />
      ))}
    </div>
  );
}

interface SectionProps {
  section: Sections["sections"][number];
  found: Sections;
  /** The question that the number keys are for. */
  first: string | undefined;
}

function Section({ section, found, first }: SectionProps) {
  const { bucket, total } = section;
  if (total === 0 && section.items.length === 0) return null;
  const shown = bucket === "completed" ? section.items.slice(0, DONE_SHOWN) : section.items;
  return (
    <section aria-labelledby={`home-${bucket}`} className={styles.section}>
      <h2 id={`home-${bucket}`} className={styles.heading}>
        {TITLES[bucket]} <span className={styles.count}>{formatWhole(total)}</span>
      </h2>
      <ul className={styles.list}>
        {shown.map((run) => (
          <HomeRow
            key={run.id}
            run={run}
            inputs={found.inputs.filter((input) => input.run_id === run.id)}
            above={found.above[run.id] ?? []}
            below={belowLine(found.below[run.id])}
            first={first}
          />
        ))}
      </ul>
      {total > shown.length ? (
        <Link
          href={`/runs?bucket=${bucket}${bucket === "needs_input" ? "" : "&top=1"}`}
          className={styles.more}
        >
          All {formatWhole(total)}
        </Link>
      ) : null}
    </section>
  );
}

interface RowProps {
  run: Run;
  inputs: readonly InputRequest[];
  above: readonly Above[];
  below: string;
  first: string | undefined;
}

function HomeRow({ run, inputs, above, below, first }: RowProps) {
  const now = useKnownNow();
  const lastVisit = useLastVisit();
  const ended = run.completed_at;
  const isNew = ended !== null && Date.parse(ended) > lastVisit;
  const line = inputs.length > 0 ? "" : lineOf(run);
  return (
    <li className={styles.row}>
      <div className={styles.first}>
        <StatusBadge status={run.status} />
        <Link href={`/runs/${encodeURIComponent(run.id)}`} className={styles.name} data-name>
          {nameOf(run)}
        </Link>
        <code className={styles.quiet}>{shortId(run.id)}</code>
        {isNew ? (
          <span className={styles.new} title="It finished since your last visit">
            new
          </span>
        ) : null}
        <span className={styles.facts}>{factsOf(run, now).join(" · ")}</span>
      </div>
      <Lineage above={above} />
      {line === "" ? null : <p className={styles.line}>{line}</p>}
      {below === "" ? null : <p className={styles.quiet}>{below}</p>}
      {inputs.map((input) => (
        <Question
          key={input.id}
          input={input}
          asker={run.agent_id ?? run.definition_id}
          keys={input.id === first}
        />
      ))}
    </li>
  );
}

/** Where a run is: those above it, from the top. */
function Lineage({ above }: { above: readonly Above[] }) {
  if (above.length === 0) return null;
  return (
    <p className={styles.quiet}>
      in{" "}
      {above.map((run, index) => (
        <Fragment key={run.id}>
          {index > 0 ? " › " : ""}
          <Link href={`/runs/${encodeURIComponent(run.id)}`} title={run.id}>
            {nameOf(run)}
          </Link>
        </Fragment>
      ))}
    </p>
  );
}
