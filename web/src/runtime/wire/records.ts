/** What the API answers: the generated types, with what a schema can't say (which words a field may hold, what JSON a
 * value is), and with what only some answers have. Unknown fields are let through.
 */
import type { components } from "./schema.ts";

export type Schemas = components["schemas"];

/** The type with some of its fields told more exactly. */
export type With<T, More> = Omit<T, keyof More> & More;

export type RunStatus =
  | "pending"
  | "running"
  | "waiting"
  | "awaiting_user"
  | "paused"
  | "completed"
  | "failed"
  | "cancelled"
  | "interrupted"
  | "moved";

export type Bucket = "needs_input" | "working" | "completed" | "failed" | "stopped";

/** Whether a process is alive behind a run: told apart from its status, as the two may differ for a while. */
export type Liveness = Schemas["Liveness"];

/** Sums of requests. A cost is decimal text in USD; null is unknown, never 0. Times are told of a run's own only. */
export type Totals = With<
  Schemas["TotalsShape"],
  {
    elapsed_ms?: number | null;
    active_ms?: number | null;
  }
>;

export interface RunError {
  type?: string;
  message?: string;
  code?: string;
  [more: string]: unknown;
}

/** What lists tell of a run, and a plain look at it does not. */
type Shown = With<
  Pick<Schemas["ShownRun"], "bucket" | "shown" | "totals" | "open_inputs">,
  { bucket: Bucket; totals: { own: Totals; subtree: Totals } }
>;

export type Run = With<
  Schemas["Run"],
  { status: RunStatus; error: RunError | null; options: Record<string, unknown> }
> &
  Partial<Shown> & {
    /** In a tree: its parent's current attempt used its stored result. */
    reused?: boolean;
    /** In a tree: how many it started, whether they were fetched or not. */
    children?: number;
    as_of?: string;
  };

/** An immutable record of a run. `seq` orders it in its run and has no gaps; `position` across the workspace. */
export type RunEvent = Schemas["RunEvent"];

export type Message = Schemas["Message"];

export type InputRequest = With<
  Schemas["InputRequest"],
  { response_schema: unknown; status: "open" | "answered" | "expired" | "withdrawn" }
>;

export type Command = With<
  Schemas["Command"],
  { payload: Record<string, unknown>; status: "requested" | "acknowledged" | "applied" | "rejected" }
>;

/** An order that many runs get, one after the other, and how far that came; it has ended when none waits for it. */
export type Bulk = Schemas["Bulk"];

/** A run above another one, by what it is called. */
export type Above = Schemas["Above"];

/** What people look at first: top-level runs by bucket, and whatever needs somebody. */
export type Sections = With<
  Schemas["Sections"],
  {
    sections: { bucket: Bucket; total: number; items: Run[] }[];
    inputs: InputRequest[];
    below: Record<string, Partial<Record<Bucket, number>>>;
  }
>;

/** Some runs of a list that have something in common: the key is what the filter of that name takes. */
export type RunGroup = Schemas["Group"];

export type RunGroups = Schemas["Groups"];

/** One try of a run by one owner. */
export type Attempt = Schemas["Attempt"];

/** A part of a list. `as_of` is where the stream goes on after it. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  as_of: string;
}

/** A part of a run's events; `next_seq` is where the next one begins, in the order that was asked for. */
export type EventsPage = Schemas["Events"];

/** What a run cost, by itself and with all below it. */
export type Telemetry = Schemas["TelemetryShape"];

export type Meta = Schemas["Meta"];

/** A registered agent or workflow. */
export type Definition = With<
  Schemas["Definition"],
  { kind: "agent" | "workflow"; input_schema: unknown; phases: PlannedPhase[] | null }
>;

export interface PlannedPhase {
  name: string;
  agent?: string;
  depends_on?: string[];
  for_each?: unknown;
  concurrency?: number;
  on_failure?: string;
}

/** A saved state of a run. */
export type Checkpoint = Schemas["Checkpoint"];

/** A value that may be large: with `cut` it was left out, and `ref` says where its bytes are. */
export type StoredValue = Pick<Schemas["Value"], "value"> & Partial<Schemas["Value"]>;

type ChangeAction = "added" | "removed" | "changed" | "moved";

export type StateChange = With<Schemas["ShownChange"], { action: ChangeAction }>;

export type StateDiff = With<Schemas["ShownDiff"], { changes: StateChange[] }>;

export type PlanEntry = Schemas["PlanEntryShape"];

/** What a resume or a fork would reuse, run again and start. */
export type Plan = Schemas["PlanShape"];

export type Thread = Schemas["Thread"];

/** A refusal, as in RFC 9457; `code` is stable and `hint` says what to do next. */
export type Problem = Pick<Schemas["Problem"], "type" | "title" | "status" | "detail" | "code"> & {
  hint?: string | null;
  [more: string]: unknown;
};
