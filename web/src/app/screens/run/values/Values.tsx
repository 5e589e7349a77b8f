import { type Run, useGetDefinitionQuery, useGetValueQuery } from "@runstone/react";
import { Notice, ProblemNotice } from "../../../design/Notice.tsx";
import { choice } from "../../../location/codecs.ts";
import { useUrlState } from "../../../location/useUrlState.ts";
import { SHOWN_BYTES, StoredValueView, ValueView } from "./StoredValueView.tsx";
import styles from "./values.module.css";

const SCHEMA = { part: choice(["input", "prompt", "result", "definition"]) };
const NAMES = { input: "Input", prompt: "Prompt", result: "Result", definition: "Definition" } as const;

/** What the run was given, what it came to, and what it was made from; each is fetched when it is looked at. */
export default function Values({ run }: { run: Run }) {
  const [{ part }, set] = useUrlState(SCHEMA);
  const parts = (Object.keys(NAMES) as (keyof typeof NAMES)[]).filter(
    (one) => one !== "definition" || run.definition_hash !== null || run.definition_id !== null,
  );
  return (
    <div className={styles.values}>
      <fieldset className={styles.parts}>
        <legend className="visually-hidden">Which value</legend>
        {parts.map((one) => (
          <label key={one} className={styles.part}>
            <input
              type="radio"
              name="value-part"
              checked={part === one}
              onChange={() => set({ part: one }, { push: true })}
            />
            {NAMES[one]}
          </label>
        ))}
      </fieldset>
      {part === "definition" ? <DefinitionPart run={run} /> : <ValuePart key={part} run={run} part={part} />}
    </div>
  );
}

function ValuePart({ run, part }: { run: Run; part: "input" | "prompt" | "result" }) {
  const { data, error } = useGetValueQuery({ runId: run.id, part, maxBytes: SHOWN_BYTES });
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  return <StoredValueView stored={data} label={NAMES[part]} />;
}

function DefinitionPart({ run }: { run: Run }) {
  const { data, error } = useGetDefinitionQuery(run.id);
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  if (data.definition === null)
    return (
      <Notice title="It is code, which runs as it is registered now">
        {data.hash === null ? null : (
          <p>
            Name and version have the hash <code>{data.hash}</code>.
          </p>
        )}
      </Notice>
    );
  return (
    <>
      <p className={styles.quiet}>
        {data.pinned
          ? "This run's own: it stays, whatever is registered under its name."
          : "As it was when the run was last started."}{" "}
        {data.hash === null ? null : <code>{data.hash.slice(0, 12)}</code>}
      </p>
      <ValueView value={data.definition} label="Definition" />
    </>
  );
}
