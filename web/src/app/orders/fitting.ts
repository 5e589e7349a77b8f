import { isEnded, type Run } from "@runstone/react";

/** What a person can do to a run. */
export type Act = "resume" | "retry" | "pause" | "steer" | "stop" | "fork";

/** What fits a run as it is; the server says no to anything else, so it is not offered. A part of another run that has
 * ended goes on with the whole only, and a dead one can't be paused: nothing of it is at work. */
export function actsFor(
  run: Pick<Run, "status" | "kind" | "depth"> & { options?: Record<string, unknown> },
): Act[] {
  const isCommand = run.options?.exec !== undefined;
  const isWhole = run.depth === 0;
  const acts: Act[] = [];
  if (!isCommand && (run.status === "paused" || (isWhole && run.status === "interrupted")))
    acts.push("resume");
  if (!isCommand && isWhole && (run.status === "failed" || run.status === "cancelled")) acts.push("retry");
  if (!isCommand && (run.status === "pending" || run.status === "running" || run.status === "waiting"))
    acts.push("pause");
  if (!isCommand && !isEnded(run.status)) acts.push("steer");
  if (!isEnded(run.status) || run.status === "interrupted") acts.push("stop");
  if (!isCommand) acts.push("fork");
  return acts;
}

/** How many runs below it are not at an end: what a stop or a pause with all below reaches. */
export function unendedBelow(run: Pick<Run, "id">, tree: readonly Run[]): { all: number; running: number } {
  const reached = new Set([run.id]);
  const found = { all: 0, running: 0 };
  // Parents come before their children.
  for (const one of tree) {
    if (one.parent_run_id === null || !reached.has(one.parent_run_id) || one.detached) continue;
    reached.add(one.id);
    if (isEnded(one.status) && one.status !== "interrupted") continue;
    found.all += 1;
    if (one.status === "running") found.running += 1;
  }
  return found;
}
