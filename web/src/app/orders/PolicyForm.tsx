import { type Policy, type Run, useGetPhasesQuery } from "@runstone/react";
import styles from "./Controls.module.css";

interface Props {
  run: Run;
  policy: Policy;
  disabled: boolean;
  onChange: (policy: Policy) => void;
}

type Chosen = "failed" | "interrupted" | "cancelled" | "failures" | "definition";

/** What can be chosen of each kind of work; the first is what happens by itself. */
const CHOICES: readonly { name: Chosen; label: string; of: readonly [string, string][] }[] = [
  {
    name: "failed",
    label: "What failed",
    of: [
      ["retry", "is tried again"],
      ["keep", "fails as it did"],
      ["fail", "ends the run at once"],
    ],
  },
  {
    name: "interrupted",
    label: "What was interrupted",
    of: [
      ["retry", "goes on"],
      ["fail", "counts as failed"],
    ],
  },
  {
    name: "cancelled",
    label: "What was stopped",
    of: [
      ["by_cause", "goes on if it was stopped with its parent"],
      ["retry", "goes on"],
      ["raise", "stays stopped"],
    ],
  },
  {
    name: "failures",
    label: "A failure that its code handled",
    of: [
      ["unhandled", "is handled again"],
      ["all", "is tried again"],
    ],
  },
  {
    name: "definition",
    label: "If its workflow was changed meanwhile",
    of: [
      ["accept", "it goes on with the new one"],
      ["refuse", "it is not resumed"],
    ],
  },
];

/** By which rules a run goes on: what is tried again, and what is done anew. The plan above follows it. */
export function PolicyForm({ run, policy, disabled, onChange }: Props) {
  const { data: phases = [] } = useGetPhasesQuery(run.id, { skip: run.kind !== "workflow" });
  const change = (name: string, value: string, otherwise: string) => {
    const { [name as keyof Policy]: _before, ...rest } = policy;
    onChange(value === otherwise ? rest : { ...rest, [name]: value });
  };
  return (
    <details className={styles.policy}>
      <summary>By which rules it goes on</summary>
      {disabled ? <p className={styles.state}>With a message it goes on by the usual ones.</p> : null}
      <fieldset disabled={disabled} className={styles.rules}>
        <legend className="visually-hidden">Rules</legend>
        {CHOICES.map(({ name, label, of }) => (
          <label key={name} className={styles.rule}>
            <span>{label}</span>
            <select
              value={policy[name] ?? of[0]?.[0]}
              onChange={(event) => change(name, event.target.value, of[0]?.[0] ?? "")}
            >
              {of.map(([value, word]) => (
                <option key={value} value={value}>
                  {word}
                </option>
              ))}
            </select>
          </label>
        ))}
        {phases.length === 0 ? null : (
          <label className={styles.rule}>
            <span>Done anew</span>
            <select
              value={policy.from_phase ?? ""}
              onChange={(event) => change("from_phase", event.target.value, "")}
            >
              <option value="">nothing that is finished</option>
              {phases.map((phase) => (
                <option key={phase.name} value={phase.name}>
                  from phase {phase.name} on
                </option>
              ))}
            </select>
          </label>
        )}
      </fieldset>
    </details>
  );
}
