import type { Totals } from "./records.ts";

/** Sums of requests that have something in common; null: they have none of that. */
export interface UsageLine {
  by: Record<string, string | null>;
  totals: Totals;
}

/** One difference of two values, at a JSON pointer. */
export interface ValueChange {
  action: "added" | "removed" | "changed" | "moved";
  path: string;
  moved_to?: string | null;
  before?: unknown;
  after?: unknown;
  /** A long text's difference, line by line. */
  text?: string[];
}

export interface ValueDiff {
  changes: ValueChange[];
  more: boolean;
}

export type Standing = "same" | "changed" | "only_a" | "only_b";

/** A compared run as a whole; tokens and cost are those of the run with all below it. */
export interface ComparedRun {
  run_id: string;
  name: string | null;
  version: string | null;
  status: string;
  error: string | null;
  forked_from: string | null;
  forked_from_checkpoint: number | null;
  tokens: number;
  cost_usd: string;
  cost_complete: boolean;
  elapsed_ms: number;
  attempts: number;
}

/** A child or a step of a compared run. */
export interface ComparedPart {
  kind: string;
  name: string;
  key: string;
  phase: string | null;
  child_run_id: string | null;
  title: string | null;
  status: string;
  tokens: number;
  cost_usd: string;
  elapsed_ms: number | null;
  reused: boolean;
  error: string | null;
}

export interface ComparedPair {
  standing: Standing;
  a: ComparedPart | null;
  b: ComparedPart | null;
  input: ValueDiff | null;
  result: ValueDiff | null;
}

export interface ComparedPhaseSide {
  status: string | null;
  parts: number;
  reused: number;
  tokens: number;
  cost_usd: string;
  elapsed_ms: number | null;
}

export interface ComparedPhase {
  name: string | null;
  a: ComparedPhaseSide | null;
  b: ComparedPhaseSide | null;
  counts: Partial<Record<Standing, number>>;
}

/** How two runs differ. `pairs` are those that differ; `more` is how many there are besides. */
export interface Comparison {
  same: boolean;
  a: ComparedRun;
  b: ComparedRun;
  input: ValueDiff;
  result: ValueDiff;
  phases: ComparedPhase[];
  counts: Partial<Record<Standing, number>>;
  pairs: ComparedPair[];
  more: number;
}
