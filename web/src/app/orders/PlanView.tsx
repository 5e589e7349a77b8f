import type { Plan, PlanEntry } from "@runstone/react";
import { useState } from "react";
import { Button } from "../design/Button.tsx";
import { formatCost, formatCount, formatWhole } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";
import styles from "./Controls.module.css";

const GROUPS = [
  ["reuse", "Used again"],
  ["rerun", "Done again"],
  ["start", "Done for the first time"],
  ["raised", "Fails as it did"],
  ["superseded", "Not used any more"],
] as const;

/** So many of a group are listed at first. */
const SHOWN = 8;

interface Props {
  plan: Plan;
  /** What a person wants to have done again, though it is finished: ids of children, else keys, else names. */
  again?: readonly string[];
  onAgain?: (id: string) => void;
}

/** What a resume or a fork would do with the work that there is, and what that work had cost. */
export function PlanView({ plan, again = [], onAgain }: Props) {
  const nothing = GROUPS.every(([name]) => plan[name].length === 0);
  return (
    <div className={styles.plan}>
      {nothing ? (
        <p>There is no finished work to use: it begins anew.</p>
      ) : (
        <p>
          <b>{formatWhole(plan.reuse.length)}</b> finished {plan.reuse.length === 1 ? "piece" : "pieces"} of
          work {plan.reuse.length === 1 ? "is" : "are"} used again
          {plan.reused_tokens > 0
            ? `, which had taken ${formatCount(plan.reused_tokens)} tokens and ${formatCost(plan.reused_cost_usd)}`
            : ""}
          .
        </p>
      )}
      {plan.exact ? null : (
        <p className={styles.state}>
          Its code decides as it goes: this is the least that is used again; it may ask for more.
        </p>
      )}
      {GROUPS.map(([name, title]) =>
        plan[name].length === 0 ? null : (
          <Group
            key={name}
            title={title}
            entries={plan[name]}
            {...(name === "reuse" && onAgain !== undefined && { onAgain })}
          />
        ),
      )}
      {again.length === 0 || onAgain === undefined ? null : (
        <Button onClick={() => again.forEach(onAgain)}>Use again all that is finished</Button>
      )}
      {plan.warnings.map((warning) => (
        <p key={warning} className={styles.warning}>
          {visible(warning)}
        </p>
      ))}
    </div>
  );
}

interface GroupProps {
  title: string;
  entries: readonly PlanEntry[];
  onAgain?: (id: string) => void;
}

function Group({ title, entries, onAgain }: GroupProps) {
  const [all, setAll] = useState(false);
  const shown = all ? entries.slice(0, 500) : entries.slice(0, SHOWN);
  return (
    <section>
      <h3>
        {title} <span className={styles.state}>{formatWhole(entries.length)}</span>
      </h3>
      <ul className={styles.entries}>
        {shown.map((entry, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: equal pieces of work have equal keys
          <li key={index}>
            <span className={styles.name}>{visible(entry.name)}</span>
            <span className={styles.state}>
              {[
                entry.kind,
                entry.phase,
                entry.status,
                entry.tokens > 0 ? `${formatCount(entry.tokens)} tokens` : "",
                Number(entry.cost_usd) > 0 ? formatCost(entry.cost_usd) : "",
              ]
                .filter((word) => word !== null && word !== "")
                .join(" · ")}
            </span>
            {onAgain === undefined ? null : (
              <Button look="bare" className={styles.again ?? ""} onClick={() => onAgain(nameOf(entry))}>
                Do it again
                <span className="visually-hidden">: {visible(entry.name)}</span>
              </Button>
            )}
          </li>
        ))}
      </ul>
      {entries.length > shown.length ? (
        <Button look="bare" onClick={() => setAll(true)}>
          {all ? `The first 500 of ${formatWhole(entries.length)}` : `All ${formatWhole(entries.length)}`}
        </Button>
      ) : null}
    </section>
  );
}

/** What names a piece of work to the server. */
function nameOf(entry: PlanEntry): string {
  return entry.child_run_id ?? entry.key ?? entry.name;
}
