/** What the API answers, as far as this package reads it; names are the ledger's. Unknown fields are let through. */

export type RunStatus =
  | "pending"
  | "running"
  | "waiting"
  | "awaiting_user"
  | "paused"
  | "completed"
  | "failed"
  | "cancelled"
  | "interrupted";

export type Bucket = "needs_input" | "working" | "completed" | "failed" | "stopped";

/** Whether a process is alive behind a run: told apart from its status, as the two may differ for a while. */
export interface Liveness {
  state: "live" | "silent" | "gone" | "none";
  last_seen_at: string | null;
  expires_at: string | null;
}

/** Sums of requests. A cost is decimal text in USD; null is unknown, never 0. */
export interface Totals {
  requests?: number;
  tokens?: number;
  input_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  cost_usd: string | null;
  cost_source: string | null;
  complete: boolean;
  elapsed_ms?: number | null;
  active_ms?: number | null;
  tool_counts?: Record<string, number>;
}

export interface RunError {
  type?: string;
  message?: string;
  code?: string;
  [more: string]: unknown;
}

export interface Run {
  id: string;
  kind: string;
  parent_run_id: string | null;
  root_run_id: string;
  depth: number;
  forked_from: string | null;
  parent_thread_id: string | null;
  agent_id: string | null;
  agent_version: string | null;
  title: string | null;
  status: RunStatus;
  status_reason: string | null;
  wake_at: string | null;
  phase: string | null;
  worker_thread_id: string | null;
  labels: Record<string, string>;
  attempt: number;
  owner: string | null;
  created_at: string;
  started_at: string | null;
  updated_at: string;
  completed_at: string | null;
  summary: string | null;
  prompt_ref: string | null;
  input_ref: string | null;
  result_ref: string | null;
  error: RunError | null;
  superseded: boolean;
  detached: boolean;
  definition_id: string | null;
  definition_hash: string | null;
  bucket?: Bucket;
  shown?: Liveness;
  totals?: { own: Totals; subtree: Totals };
  open_inputs?: number;
  pinned?: boolean;
  archived?: boolean;
  /** In a tree: its parent's current attempt used its stored result. */
  reused?: boolean;
  as_of?: string;
}

/** An immutable record of a run. `seq` orders it in its run and has no gaps; `position` across the workspace. */
export interface RunEvent {
  run_id: string;
  seq: number;
  position: number;
  type: string;
  payload: unknown;
  importance: number;
  timestamp: string;
  attempt: number;
  event_key: string | null;
}

export interface Message {
  id: string;
  thread_id: string;
  seq: number;
  role: string;
  text: string;
  run_id: string | null;
  attempt: number | null;
  timestamp: string;
  extra: unknown;
}

export interface InputRequest {
  id: string;
  run_id: string;
  attempt: number;
  key: string | null;
  reason: string | null;
  message: string;
  response_schema: unknown;
  /** Any JSON values. */
  choices: unknown[] | null;
  /** What it is taken as when it expires; absent where there is nothing. */
  default?: unknown;
  expires_at: string | null;
  status: "open" | "answered" | "expired" | "withdrawn";
  response: unknown;
  answered_by: string | null;
  answered_at: string | null;
  asked_at: string;
  closed_at: string | null;
}

export interface Command {
  id: string;
  run_id: string;
  verb: string;
  payload: Record<string, unknown>;
  status: "requested" | "acknowledged" | "applied" | "rejected";
  requested_by: string | null;
  reason: string | null;
  requested_at: string;
  acknowledged_at: string | null;
  ended_at: string | null;
}

/** A part of a list. `as_of` is where the stream goes on after it. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  as_of: string;
}

/** A part of a run's events; `next_seq` is where the next one begins, in the order that was asked for. */
export interface EventsPage {
  items: RunEvent[];
  next_seq: number | null;
}

/** What a run cost, by itself and with all below it. */
export interface Telemetry {
  run_id: string;
  own: Totals;
  subtree: Totals;
  tool_counts: Record<string, number>;
  tool_failures: Record<string, number>;
  elapsed_ms: number;
  active_ms: number;
  reused_children: number;
  reused_tokens: number;
  reused_cost_usd: string | null;
}

export interface Meta {
  name: string;
  version: string;
  api: string;
  capabilities: string[];
  trusted?: boolean;
  as_of: string;
  oldest?: string;
}

/** A registered agent or workflow. */
export interface Definition {
  name: string;
  version: string;
  kind: "agent" | "workflow";
  form: string;
  about: string;
  /** A JSON Schema; null: any JSON. */
  input_schema: unknown;
  input_fields: Record<string, string> | null;
  secret_fields: string[];
  phases: PlannedPhase[] | null;
}

export interface PlannedPhase {
  name: string;
  agent?: string;
  depends_on?: string[];
  for_each?: string;
  concurrency?: number;
  on_failure?: string;
}

/** A saved state of a run. */
export interface Checkpoint {
  run_id: string;
  number: number;
  attempt: number;
  label: string | null;
  state_ref: string;
  definition_hash: string | null;
  parent: number | null;
  created_at: string;
  stored_bytes: number;
}

/** A value that may be large: with `cut` it was left out, and `ref` says where its bytes are. */
export interface StoredValue {
  value: unknown;
  bytes?: number;
  ref?: string;
  cut?: boolean;
}

export interface StateChange {
  action: "added" | "removed" | "changed" | "moved";
  path: string;
  moved_to?: string;
  before?: unknown;
  after?: unknown;
  before_bytes?: number;
  after_bytes?: number;
  text?: string[];
}

export interface StateDiff {
  changes: StateChange[];
  more?: boolean;
}

export interface PlanEntry {
  kind: string;
  name: string;
  key: string | null;
  phase: string | null;
  child_run_id: string | null;
  status: string | null;
  tokens: number;
  cost_usd: string;
  parent_run_id: string | null;
}

/** What a resume or a fork would reuse, run again and start. */
export interface Plan {
  run_id: string;
  status: string;
  reuse: PlanEntry[];
  rerun: PlanEntry[];
  start: PlanEntry[];
  raised: PlanEntry[];
  superseded: PlanEntry[];
  exact: boolean;
  warnings: string[];
  reused_tokens: number;
  reused_cost_usd: string;
}

export interface Thread {
  id: string;
  title: string | null;
  /** The run whose worker thread it is. */
  run_id: string | null;
  messages: number;
  created_at: string;
  updated_at: string;
}

/** A refusal, as in RFC 9457; `code` is stable and `hint` says what to do next. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  hint?: string | null;
  [more: string]: unknown;
}
