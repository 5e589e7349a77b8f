import {
  type InputRequest,
  type Run,
  type ToolCall,
  useGetRunInputsQuery,
  useGetRunsInfiniteQuery,
  useToolCalls,
} from "@runstone/react";
import { useRef } from "react";
import { LongText } from "../../design/LongText.tsx";
import { formatDuration } from "../../format/durations.ts";
import { formatCount } from "../../format/numbers.ts";
import { lineText } from "../../format/visible.ts";
import { Question } from "../../questions/Question.tsx";
import { useKeptElement } from "../../shell/places.ts";
import { Attempts } from "./Attempts.tsx";
import { Facts, RunLink } from "./Facts.tsx";
import styles from "./Overview.module.css";

/** How many of the newest calls are listed; the events have them all. */
const CALLS_SHOWN = 50;

/** What it asks, what it came to or why it failed, its facts and its tools. */
export default function Overview({ run }: { run: Run }) {
  const { data: inputs } = useGetRunInputsQuery(run.id);
  const { calls, isAll } = useToolCalls(run.id, run.status);
  const scroller = useKeptElement<HTMLDivElement>(`overview:${run.id}`);
  // What was open when the page was opened stays in its place: it says who answered, and what was not sent.
  const seen = useRef<Set<string>>(new Set());
  for (const input of inputs?.items ?? []) if (input.status === "open") seen.current.add(input.id);
  const open = (inputs?.items ?? []).filter((input) => seen.current.has(input.id));
  const settled = (inputs?.items ?? []).filter((input) => !seen.current.has(input.id));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls where the page is low, and keys must reach it
    <div ref={scroller} className={styles.overview} tabIndex={0}>
      <div className={styles.main}>
        {open.map((input, index) => (
          <Question
            key={input.id}
            input={input}
            asker={run.agent_id ?? run.definition_id}
            keys={index === 0}
          />
        ))}
        {settled.length === 0 ? null : <Answered inputs={settled} />}
        {run.error === null ? null : (
          <section className={styles.error} aria-label="Error">
            <h2>{lineText(String(run.error.type ?? run.error.code ?? "Error"))}</h2>
            <LongText
              text={String(run.error.message ?? JSON.stringify(run.error, null, 2))}
              label="all of it"
            />
          </section>
        )}
        {run.summary === null ? null : (
          <section>
            <h2>Summary</h2>
            <LongText text={run.summary} label="the whole summary" />
          </section>
        )}
        {run.attempt > 1 ? <Attempts run={run} /> : null}
        <section>
          <h2>Tools</h2>
          <Tools calls={calls} isAll={isAll} />
        </section>
      </div>
      <section className={styles.side} aria-label="Facts">
        <Facts run={run} />
        <Forks runId={run.id} />
      </section>
    </div>
  );
}

/** So many forks are named; the rest is in the list. */
const FORKS_SHOWN = 3;

/** The runs that were forked from this one. */
function Forks({ runId }: { runId: string }) {
  const { data } = useGetRunsInfiniteQuery({ forked_from: runId, limit: FORKS_SHOWN + 1 });
  const forks = data?.pages[0]?.items ?? [];
  if (forks.length === 0) return null;
  return (
    <p>
      Forked to{" "}
      {forks.slice(0, FORKS_SHOWN).map((fork) => (
        <span key={fork.id}>
          <RunLink id={fork.id} />{" "}
        </span>
      ))}
      {forks.length > FORKS_SHOWN ? "and more" : ""}
    </p>
  );
}

/** The questions that were answered before: who said what. */
function Answered({ inputs }: { inputs: readonly InputRequest[] }) {
  return (
    <details className={styles.answered}>
      <summary>
        {inputs.length === 1 ? "1 question that is settled" : `${inputs.length} questions that are settled`}
      </summary>
      {inputs.map((input) => (
        <Question key={input.id} input={input} />
      ))}
    </details>
  );
}

function Tools({ calls, isAll }: { calls: readonly ToolCall[]; isAll: boolean }) {
  if (calls.length === 0) return <p className={styles.quiet}>It has called no tool.</p>;
  const shown = calls.slice(-CALLS_SHOWN).reverse();
  return (
    <>
      <table className={styles.tools}>
        <thead>
          <tr>
            <th>Tool</th>
            <th>State</th>
            <th className={styles.number}>Round</th>
            <th className={styles.number}>Took</th>
            <th className={styles.number}>Output</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((call) => (
            <tr key={`${call.attempt} ${call.callId}`} data-status={call.status}>
              <td className={styles.tool}>
                {lineText(call.toolName)}
                {call.error === undefined ? null : (
                  <span className={styles.quiet}> {lineText(call.error)}</span>
                )}
              </td>
              <td>{call.status}</td>
              <td className={styles.number}>{call.iteration ?? ""}</td>
              <td className={styles.number}>{formatDuration(call.elapsedMs)}</td>
              <td className={styles.number}>
                {call.outputChars === undefined ? "" : formatCount(call.outputChars)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {calls.length > shown.length ? (
        <p className={styles.quiet}>
          The newest {CALLS_SHOWN} of {isAll ? calls.length : "many"}; the events have them all.
        </p>
      ) : null}
    </>
  );
}
