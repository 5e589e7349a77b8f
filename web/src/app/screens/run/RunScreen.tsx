import { type Run, type Telemetry, useGetRunQuery, useGetTelemetryQuery, useRunNews } from "@runstone/react";
import { Tabs } from "radix-ui";
import { lazy, Suspense, useMemo } from "react";
import { Link, useParams } from "wouter";
import { useKnownNow } from "../../design/Clock.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { livenessOf, nameOf } from "../../format/runs.ts";
import { visible } from "../../format/visible.ts";
import { text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { Controls } from "../../orders/Controls.tsx";
import { useShortcuts } from "../../shell/shortcuts.ts";
import { Cost, Elapsed } from "../runs/columns.tsx";
import { RunLink } from "./Facts.tsx";
import styles from "./RunScreen.module.css";
import { RUN_TABS } from "./tabs.ts";

const SCHEMA = { tab: text };
/** That a heartbeat is missing is no event: nothing tells of it, so that it has to be asked for. */
const HEARD_OF = { pollingInterval: 10_000, skipPollingIfUnfocused: true };
const PhaseBoard = lazy(() => import("./phases/PhaseBoard.tsx"));

/** One run: what it is in its head, the rest in tabs. */
export default function RunScreen() {
  const { id = "" } = useParams<{ id: string }>();
  const { data: run, error } = useGetRunQuery(id, HEARD_OF);
  if (run === undefined)
    return error === undefined ? <p className={styles.loading}>Loading…</p> : <ProblemNotice error={error} />;
  // Ids may be given in part; the parts of the screen need the whole one, and begin anew with another run.
  return <RunWithTotals key={run.id} run={run} />;
}

/** Rows may come without their sums, which are asked for then. */
function RunWithTotals({ run }: { run: Run }) {
  const { data } = useGetTelemetryQuery(run.id, { skip: run.totals !== undefined });
  const whole = useMemo(() => (data === undefined ? run : withTotals(run, data)), [run, data]);
  return <RunView run={whole} />;
}

function withTotals(run: Run, { own, subtree, elapsed_ms, active_ms }: Telemetry): Run {
  return { ...run, totals: run.totals ?? { own: { ...own, elapsed_ms, active_ms }, subtree } };
}

function RunView({ run }: { run: Run }) {
  useRunNews(run.id);
  const [{ tab }, set] = useUrlState(SCHEMA);
  const tabs = RUN_TABS.filter((one) => one.fits?.(run) ?? true);
  const current = tabs.find((one) => one.id === tab) ?? RUN_TABS[0];
  const open = (id: string) => set({ tab: id === RUN_TABS[0].id ? "" : id }, { push: true });
  useShortcuts(
    tabs.map((one, index) => ({ keys: `t ${index + 1}`, does: `Tab ${one.name}`, act: () => open(one.id) })),
  );
  return (
    <div className={styles.screen}>
      <Head run={run} />
      {run.kind === "workflow" ? (
        <Suspense fallback={null}>
          <PhaseBoard run={run} />
        </Suspense>
      ) : null}
      <Tabs.Root value={current.id} onValueChange={open} className={styles.tabs}>
        <Tabs.List className={styles.list} aria-label="Parts of the run">
          {tabs.map((one) => (
            <Tabs.Trigger key={one.id} value={one.id} className={styles.tab}>
              {one.name}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value={current.id} className={styles.content} tabIndex={-1}>
          <Suspense fallback={<p className={styles.loading}>Loading…</p>}>
            <current.part run={run} />
          </Suspense>
        </Tabs.Content>
      </Tabs.Root>
    </div>
  );
}

function Head({ run }: { run: Run }) {
  const liveness = livenessOf(run, useKnownNow());
  return (
    <header className={styles.head}>
      <div className={styles.line}>
        <StatusBadge status={run.status} />
        <h1 className={styles.title}>{visible(nameOf(run))}</h1>
      </div>
      <div className={styles.facts}>
        {run.status_reason === null ? null : (
          <span className={styles.reason}>{visible(run.status_reason)}</span>
        )}
        {liveness === "" ? null : <span>{liveness}</span>}
        <span>
          <Elapsed run={run} />
        </span>
        <Cost run={run} />
        {run.attempt > 1 ? <span>attempt {run.attempt}</span> : null}
        {run.parent_run_id === null ? null : (
          <span>
            started by <RunLink id={run.parent_run_id} />
          </span>
        )}
        {run.forked_from === null ? null : (
          <span>
            forked from <RunLink id={run.forked_from} /> (
            <Link href={`/compare?a=${encodeURIComponent(run.forked_from)}&b=${encodeURIComponent(run.id)}`}>
              compare
            </Link>
            )
          </span>
        )}
        {run.archived ? <span>archived</span> : null}
      </div>
      <Controls run={run} />
    </header>
  );
}
