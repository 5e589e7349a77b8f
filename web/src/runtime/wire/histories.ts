import type { Totals } from "./records.ts";

/** A part of a run's life: `pending`, `attempt`, or what lay between attempts. Without an end it lasts. */
export interface RunSpan {
  kind: string;
  start: string;
  end: string | null;
  attempt: number | null;
  outcome: string | null;
  reason: string | null;
}

/** What a run did in a part of its time. */
export interface Activity {
  start: string;
  end: string;
  tool_calls: number;
  tool_failures: number;
  steps: number;
}

/** What a timeline draws of a run. */
export interface TimelineRow {
  run_id: string;
  parent_run_id: string | null;
  depth: number;
  kind: string;
  agent_id: string | null;
  title: string | null;
  phase: string | null;
  status: string;
  superseded: boolean;
  start: string;
  end: string | null;
  spans: RunSpan[];
  activity: Activity[];
  children: number;
  /** The end of the run at the top waited for it, or waits. */
  critical: boolean;
  /** Its first attempts or events are left out. */
  partial: boolean;
}

/** A page of a timeline, level by level. */
export interface TimelinePage {
  run_id: string;
  start: string;
  end: string | null;
  items: TimelineRow[];
  next_cursor: string | null;
  as_of: string;
}

/** A phase of a workflow run; planned ones are `pending`. */
export interface WorkflowPhase {
  name: string;
  status: string;
  planned: number | null;
  /** By shown status. */
  children: Record<string, number>;
  reused: number;
  started_at: string | null;
  completed_at: string | null;
  reason: string | null;
  concurrency: number | null;
  /** The phases that must end before it starts. */
  after: string[];
  totals: Totals;
}
