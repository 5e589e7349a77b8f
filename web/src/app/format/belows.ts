import { BUCKETS, type Bucket } from "@runstone/react";
import { formatWhole } from "./numbers.ts";

const WORDS: Record<Bucket, string> = {
  needs_input: "needs input",
  failed: "failed",
  stopped: "stopped",
  working: "working",
  completed: "completed",
};

/** `below it 1 needs input, 3 completed`: those that need somebody first; nothing where there is nothing. */
export function belowLine(counts: Partial<Record<Bucket, number>> | undefined): string {
  const parts = BUCKETS.filter((bucket) => (counts?.[bucket] ?? 0) > 0).map(
    (bucket) => `${formatWhole(counts?.[bucket] ?? 0)} ${WORDS[bucket]}`,
  );
  return parts.length === 0 ? "" : `below it ${parts.join(", ")}`;
}
