import { useGetRunInputsQuery, useGetRunQuery } from "@runstone/react";
import { Link } from "wouter";
import { Button } from "../../design/Button.tsx";
import { LongText } from "../../design/LongText.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { lineOf, nameOf } from "../../format/runs.ts";
import { Question } from "../../questions/Question.tsx";
import { Facts } from "../run/Facts.tsx";
import styles from "./Peek.module.css";

/** A look at a run beside the list. It reads only; an open question can be answered. */
export function Peek({ runId, onClose }: { runId: string; onClose: () => void }) {
  const { data: run, error } = useGetRunQuery(runId);
  const { data: inputs } = useGetRunInputsQuery(runId, { skip: (run?.open_inputs ?? 0) === 0 });
  return (
    <aside className={styles.peek} aria-label="Peek">
      <div className={styles.head}>
        {run === undefined ? null : <StatusBadge status={run.status} />}
        <span className={styles.space} />
        <Link href={`/runs/${encodeURIComponent(runId)}`}>Open</Link>
        <Button look="bare" aria-label="Close the peek" onClick={onClose}>
          ✕
        </Button>
      </div>
      {error !== undefined && run === undefined ? <ProblemNotice error={error} /> : null}
      {run === undefined ? null : (
        <>
          <h2 className={styles.title}>{nameOf(run)}</h2>
          {lineOf(run) === "" ? null : <LongText text={lineOf(run)} label="all of it" />}
          {(inputs?.items ?? [])
            .filter((input) => input.status === "open")
            .map((input, index) => (
              <Question
                key={input.id}
                input={input}
                asker={run.agent_id ?? run.definition_id}
                keys={index === 0}
              />
            ))}
          <Facts run={run} />
        </>
      )}
    </aside>
  );
}
