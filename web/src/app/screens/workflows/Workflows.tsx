import { type Definition, type PlannedPhase, useGetAgentsQuery, useGetWorkflowsQuery } from "@runstone/react";
import { Link } from "wouter";
import { Button } from "../../design/Button.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { visible } from "../../format/visible.ts";
import { text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { StartDialog } from "../../starting/StartDialog.tsx";
import styles from "./Workflows.module.css";

/** What is being started: `agent:NAME` or `workflow:NAME`, so that a link leads to the filled dialog. */
const SCHEMA = { start: text, find: text };

/** What can be started here: workflows with their planned phases, and agents. */
export default function Workflows() {
  const workflows = useGetWorkflowsQuery();
  const agents = useGetAgentsQuery();
  const [{ start, find }, set] = useUrlState(SCHEMA);
  const error = workflows.error ?? agents.error;
  if (workflows.data === undefined || agents.data === undefined)
    return error === undefined ? <p className={styles.loading}>Loading…</p> : <ProblemNotice error={error} />;
  const all = [...workflows.data.items, ...agents.data.items];
  if (all.length === 0)
    return (
      <Notice title="Nothing is registered here">
        {workflows.data.trusted ? (
          <p>
            Name your modules, agents and workflows in <code>runstone.toml</code> at the workspace&apos;s
            root, and start the server again.
          </p>
        ) : (
          <p>
            This workspace&apos;s own code is not trusted yet. Look at its <code>runstone.toml</code>, then
            type <code>runstone up --trust</code>.
          </p>
        )}
      </Notice>
    );
  const open = (definition: Definition) =>
    set({ start: `${definition.kind}:${definition.name}` }, { push: true });
  const chosen = all.find((one) => `${one.kind}:${one.name}` === start);
  const wanted = find.toLowerCase();
  const fits = (one: Definition) => `${one.name} ${one.about}`.toLowerCase().includes(wanted);
  return (
    <div className={styles.screen}>
      <div className={styles.bar}>
        <h1>Workflows and agents</h1>
        <input
          type="search"
          aria-label="Filter by name"
          placeholder="Name"
          value={find}
          onChange={(event) => set({ find: event.target.value })}
        />
      </div>
      <Group title="Workflows" found={workflows.data.items.filter(fits)} onStart={open} />
      <Group title="Agents" found={agents.data.items.filter(fits)} onStart={open} />
      {chosen === undefined ? null : (
        <StartDialog key={start} definition={chosen} onClose={() => set({ start: "" })} />
      )}
    </div>
  );
}

interface GroupProps {
  title: string;
  found: readonly Definition[];
  onStart: (definition: Definition) => void;
}

function Group({ title, found, onStart }: GroupProps) {
  if (found.length === 0) return null;
  return (
    <section className={styles.group} aria-label={title}>
      <h2>{title}</h2>
      <ul className={styles.list}>
        {found.map((one) => (
          <li key={one.name} className={styles.one}>
            <div className={styles.head}>
              <h3 className={styles.name}>{one.name}</h3>
              <span className={styles.quiet}>
                version {one.version} · {one.form}
              </span>
              <Link href={runsOf(one)} className={styles.quiet}>
                Runs
              </Link>
              <Button
                look="primary"
                className={styles.start ?? ""}
                aria-label={`Start ${one.name}`}
                onClick={() => onStart(one)}
              >
                Start
              </Button>
            </div>
            {one.about === "" ? null : (
              <p className={styles.about}>{visible(one.about.split("\n\n")[0] ?? "")}</p>
            )}
            {one.phases === null ? null : <Phases phases={one.phases} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function runsOf(one: Definition): string {
  const name = one.kind === "workflow" ? "definition_id" : "agent_id";
  return `/runs?${new URLSearchParams({ [name]: one.name })}`;
}

/** What a phase does its work for: a place in what is known by then, or a list that is written down. */
function eachOf(forEach: unknown): string {
  if (forEach === undefined || forEach === null) return "";
  if (Array.isArray(forEach)) return `for each of ${forEach.length} that are listed`;
  return `for each of ${typeof forEach === "string" ? visible(forEach) : "what is described"}`;
}

/** The phases as they are planned, in their order, with what each waits for. */
function Phases({ phases }: { phases: readonly PlannedPhase[] }) {
  return (
    <ol className={styles.phases} aria-label="Planned phases">
      {phases.map((phase) => (
        <li key={phase.name} className={styles.phase}>
          <b>{visible(phase.name)}</b>
          <span className={styles.quiet}>
            {[
              phase.agent === undefined ? "" : phase.agent,
              eachOf(phase.for_each),
              phase.concurrency === undefined ? "" : `${phase.concurrency} at a time`,
              (phase.depends_on ?? []).length === 0 ? "" : `after ${phase.depends_on?.join(", ")}`,
            ]
              .filter((word) => word !== "")
              .join(" · ")}
          </span>
        </li>
      ))}
    </ol>
  );
}
