import { canResume, isEnded, type Run } from "@runstone/react";

export const BULK_VERBS = ["stop", "pause", "resume", "retry", "archive"] as const;
export type BulkVerb = (typeof BULK_VERBS)[number];
/** One order is for so many runs at most, as the server takes it. */
export const MOST_ORDERED = 10_000;

/** Whether an order fits a run as it is. Stopping what is below a run that is stopped anyway would only be refused. */
export function fits(verb: BulkVerb, run: Pick<Run, "status" | "archived" | "depth">): boolean {
  if (verb === "archive") return run.archived !== true && isEnded(run.status);
  if (verb === "stop") return !isEnded(run.status) || run.status === "interrupted";
  if (verb === "pause") return ["pending", "running", "waiting"].includes(run.status);
  // What is below others is brought on by those.
  if (run.depth > 0) return false;
  if (verb === "retry") return run.status === "failed" || run.status === "cancelled";
  return canResume(run.status) && run.status !== "failed" && run.status !== "cancelled";
}

/** The runs that are to be ordered: of a tree of which the top is among them, the top alone. */
export function targetsOf(verb: BulkVerb, runs: readonly Run[]): Run[] {
  const fitting = runs.filter((run) => fits(verb, run));
  if (verb === "archive") return fitting;
  const ids = new Set(fitting.map((run) => run.id));
  return fitting.filter((run) => run.parent_run_id === null || !ids.has(run.parent_run_id));
}
