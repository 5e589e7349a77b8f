import { canResume, type WorkflowPhase } from "@runstone/react";
import { statusWord } from "../../../design/StatusBadge.tsx";
import { visible } from "../../../format/visible.ts";

/** Children in the order in which people ask: who needs somebody, what went wrong, what works, what is done. */
const ORDER = [
  "awaiting_user",
  "failed",
  "interrupted",
  "cancelled",
  "running",
  "waiting",
  "paused",
  "pending",
  "completed",
  "moved",
];

/** How many children there are or will be; null where nobody knows yet. */
export function totalOf(phase: WorkflowPhase): number | null {
  const made = Object.values(phase.children).reduce((sum, count) => sum + count, 0);
  if (phase.planned !== null) return Math.max(phase.planned, made);
  return made === 0 ? null : made;
}

/** `3 completed, 1 running`: by state, those that need somebody first. */
export function countsLine(phase: WorkflowPhase): string {
  return ORDER.filter((status) => (phase.children[status] ?? 0) > 0)
    .map((status) => `${phase.children[status]} ${statusWord(status)}`)
    .join(", ");
}

/** Why a phase does not go on: what it waits for, or what it was skipped or failed for. */
export function reasonOf(phase: WorkflowPhase, phases: readonly WorkflowPhase[], runStatus: string): string {
  return visible(ownReason(phase, phases, runStatus));
}

function ownReason(phase: WorkflowPhase, phases: readonly WorkflowPhase[], runStatus: string): string {
  if (phase.reason !== null && phase.reason !== "") return phase.reason;
  if (phase.status !== "pending") return "";
  const left = phase.after.filter((name) => {
    const before = phases.find((one) => one.name === name);
    return before !== undefined && before.status !== "completed" && before.status !== "skipped";
  });
  if (left.length > 0) return `waits for ${left.join(" and ")}`;
  if (phase.started_at === null) return "";
  if (runStatus === "awaiting_user") return "waits for a person";
  return canResume(runStatus) ? "goes on when the run is resumed" : "";
}

/** So long attempts were in it; of one that is at work, up to now. What lies between two attempts is no part of it. */
export function elapsedOf(phase: WorkflowPhase, now: number): number | undefined {
  if (phase.started_at === null) return undefined;
  const present = phase.active_since === null ? 0 : Math.max(0, now - Date.parse(phase.active_since));
  return phase.active_ms + present;
}
