import { canResume, isEnded, type Run } from "@runstone/react";

export const BULK_VERBS = ["stop", "resume", "retry", "archive"] as const;
export type BulkVerb = (typeof BULK_VERBS)[number];

/** Whether an order fits a run as it is. Stopping what is below a run that is stopped anyway would only be refused. */
export function fits(verb: BulkVerb, run: Pick<Run, "status" | "archived">): boolean {
  if (verb === "archive") return run.archived !== true && isEnded(run.status);
  if (verb === "stop") return !isEnded(run.status) || run.status === "interrupted";
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

export interface Progress {
  done: number;
  refused: number;
  total: number;
}

/** Does something for each, a few at a time; a refusal is counted and ends nothing. */
export async function inTurn<T>(
  items: readonly T[],
  act: (item: T) => Promise<boolean>,
  tell: (progress: Progress) => void,
  width = 4,
): Promise<Progress> {
  const progress = { done: 0, refused: 0, total: items.length };
  let next = 0;
  const work = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      const isDone = await act(item);
      progress.done += 1;
      if (!isDone) progress.refused += 1;
      tell({ ...progress });
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
  return progress;
}
