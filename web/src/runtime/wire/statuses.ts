import type { Bucket, Run, RunStatus } from "./records.ts";

/** In the order in which people want to see them. */
export const BUCKETS: readonly Bucket[] = ["needs_input", "failed", "stopped", "working", "completed"];

const BUCKET_OF: Record<RunStatus, Bucket> = {
  pending: "working",
  running: "working",
  waiting: "working",
  paused: "working",
  awaiting_user: "needs_input",
  completed: "completed",
  failed: "failed",
  cancelled: "stopped",
  interrupted: "stopped",
  moved: "stopped",
};

/** The bucket of a run: an open question puts it in `needs_input`, whatever its status. */
export function bucketOf(run: Pick<Run, "status" | "bucket" | "open_inputs">): Bucket {
  if (run.bucket !== undefined) return run.bucket;
  return (run.open_inputs ?? 0) > 0 ? "needs_input" : (BUCKET_OF[run.status] ?? "working");
}

/** Whether a process works on it now. Only a live lease reads `running`. */
export function isLive(status: string): boolean {
  return status === "running";
}

/** Whether nothing more happens unless somebody starts a new attempt. */
export function isEnded(status: string): boolean {
  return ENDED.has(status);
}

/** Whether a person can have it go on. */
export function canResume(status: string): boolean {
  return status === "interrupted" || status === "paused" || status === "failed" || status === "cancelled";
}

const ENDED = new Set(["completed", "failed", "cancelled", "interrupted", "moved"]);
