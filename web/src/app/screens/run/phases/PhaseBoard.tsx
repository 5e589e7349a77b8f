import {
  isEnded,
  type Run,
  useGetPhasesQuery,
  useGetRunsInfiniteQuery,
  type WorkflowPhase,
} from "@runstone/react";
import { useLocation } from "wouter";
import { Button } from "../../../design/Button.tsx";
import { useKnownNow } from "../../../design/Clock.tsx";
import { Grid } from "../../../design/Grid.tsx";
import { ProblemNotice } from "../../../design/Notice.tsx";
import { StatusBadge } from "../../../design/StatusBadge.tsx";
import { formatDuration } from "../../../format/durations.ts";
import { formatCost, formatCount } from "../../../format/numbers.ts";
import { tokensOf } from "../../../format/runs.ts";
import { visible } from "../../../format/visible.ts";
import { text } from "../../../location/codecs.ts";
import { useUrlState } from "../../../location/useUrlState.ts";
import { useKeptScroll } from "../../../shell/places.ts";
import { RUN_COLUMNS } from "../../runs/columns.tsx";
import styles from "./PhaseBoard.module.css";
import { countsLine, elapsedOf, reasonOf, totalOf } from "./phaseLines.ts";

const SCHEMA = { phase: text };
const ROWS = { agent: text };
const STILL_FRESH_MS = 4_000;

/** The phases of a workflow, planned ones before they start; each leads to its agents. */
export default function PhaseBoard({ run }: { run: Run }) {
  const { data: phases, error } = useGetPhasesQuery(run.id, {
    pollingInterval: isEnded(run.status) ? 0 : STILL_FRESH_MS,
    skipPollingIfUnfocused: true,
  });
  const [{ phase: chosen }, set] = useUrlState(SCHEMA);
  if (phases === undefined) return error === undefined ? null : <ProblemNotice error={error} />;
  if (phases.length === 0) return null;
  const open = phases.find((phase) => phase.name === chosen);
  return (
    <section aria-label="Phases" className={styles.board}>
      <ol className={styles.phases}>
        {phases.map((phase) => (
          <PhaseCard
            key={phase.name}
            phase={phase}
            phases={phases}
            runStatus={run.status}
            isOpen={phase === open}
            onToggle={() => set({ phase: phase === open ? "" : phase.name }, { push: true })}
          />
        ))}
      </ol>
      {open === undefined ? null : <Agents run={run} phase={open} onClose={() => set({ phase: "" })} />}
    </section>
  );
}

interface CardProps {
  phase: WorkflowPhase;
  phases: readonly WorkflowPhase[];
  runStatus: string;
  isOpen: boolean;
  onToggle: () => void;
}

function PhaseCard({ phase, phases, runStatus, isOpen, onToggle }: CardProps) {
  const now = useKnownNow();
  const total = totalOf(phase);
  const done = phase.children.completed ?? 0;
  const reason = reasonOf(phase, phases, runStatus);
  const { totals } = phase;
  const facts = [
    formatDuration(elapsedOf(phase, now)),
    totals.requests === 0 ? "" : `${formatCount(tokensOf(totals))} tokens`,
    totals.requests === 0 ? "" : costOf(totals.cost_usd, totals.complete),
    phase.concurrency === null ? "" : `at most ${phase.concurrency} at a time`,
    phase.reused === 0 ? "" : `${phase.reused} reused`,
  ].filter((fact) => fact !== "");
  return (
    <li className={styles.card} data-status={phase.status}>
      <div className={styles.title}>
        <StatusBadge status={phase.status} compact />
        <button type="button" className={styles.name} aria-expanded={isOpen} onClick={onToggle}>
          {visible(phase.name)}
        </button>
        <span className={styles.done}>{total === null ? "" : `${done} of ${total}`}</span>
      </div>
      <div className={styles.progress} aria-hidden="true">
        <span style={{ width: `${total === null || total === 0 ? 0 : (done / total) * 100}%` }} />
      </div>
      <p className={styles.facts}>{facts.join(" · ")}</p>
      <p className={styles.facts}>{countsLine(phase)}</p>
      {reason === "" ? null : <p className={styles.reason}>{reason}</p>}
    </li>
  );
}

function costOf(usd: string | null, complete: boolean): string {
  const cost = formatCost(usd, complete);
  return cost === "unknown" ? "cost unknown" : cost;
}

/** The agents of a phase, with what each does or came to. */
function Agents({ run, phase, onClose }: { run: Run; phase: WorkflowPhase; onClose: () => void }) {
  const [{ agent }, set] = useUrlState(ROWS);
  const [, navigate] = useLocation();
  const scroll = useKeptScroll(`phase:${run.id}:${phase.name}`);
  const found = useGetRunsInfiniteQuery({
    parent_id: run.id,
    phase: phase.name,
    sort: "created",
    order: "asc",
    limit: 200,
  });
  const runs = found.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className={styles.agents}>
      <div className={styles.agentsHead}>
        <h2>Agents of {visible(phase.name)}</h2>
        <Button look="bare" aria-label="Close the agents" onClick={onClose}>
          ✕
        </Button>
      </div>
      {runs.length === 0 ? (
        <p className={styles.reason}>{found.isLoading ? "Loading…" : "None was started yet."}</p>
      ) : (
        <div className={styles.grid}>
          <Grid
            label={`Agents of ${visible(phase.name)}`}
            columns={RUN_COLUMNS}
            rows={runs.map((one) => ({ key: one.id, value: one }))}
            selected={agent || null}
            scroll={scroll}
            onSelect={(id) => set({ agent: id })}
            onOpen={(id) => navigate(`/runs/${encodeURIComponent(id)}`)}
            onEnd={() => {
              if (found.hasNextPage && !found.isFetching) void found.fetchNextPage();
            }}
          />
        </div>
      )}
    </div>
  );
}
