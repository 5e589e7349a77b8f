import { isEnded, type Run } from "@runstone/react";
import { formatAge, formatDuration } from "./durations.ts";
import { formatCost } from "./numbers.ts";
import { visible } from "./visible.ts";

/** What a run is called: its title, else who does it. */
export function nameOf(run: Pick<Run, "title" | "agent_id" | "definition_id" | "kind">): string {
  return visible(run.title ?? run.definition_id ?? run.agent_id ?? run.kind.replaceAll("_", " "));
}

/** What is known of how long it took, what it cost and when it changed, in words that can stand in one line. */
export function factsOf(run: Run, now: number): string[] {
  const elapsed = formatDuration(elapsedOf(run, now));
  const subtree = run.totals?.subtree;
  const cost =
    subtree === undefined || subtree.requests === 0 ? null : formatCost(subtree.cost_usd, subtree.complete);
  const age = formatAge(Math.max(0, now - Date.parse(run.updated_at)));
  return [
    livenessOf(run, now),
    elapsed === "" ? "" : isEnded(run.status) ? `took ${elapsed}` : elapsed,
    cost === null ? "" : cost === "unknown" ? "cost unknown" : cost,
    age === "now" ? "now" : `${age} ago`,
  ].filter((fact) => fact !== "");
}

/** The last characters of an id, as lists show it. */
export function shortId(id: string): string {
  return id.slice(-8);
}

/** One line on what it does, asks or came to. */
export function lineOf(run: Run): string {
  return visible(ownLine(run));
}

function ownLine(run: Run): string {
  if (run.status === "failed") return run.error?.message ?? run.status_reason ?? "";
  if (run.status === "completed") return run.summary ?? "";
  return run.status_reason ?? run.phase ?? run.summary ?? "";
}

/** What is known of the process behind a run, told apart from its status; nothing where none is expected. */
export function livenessOf(run: Pick<Run, "shown" | "status">, now: number): string {
  const shown = run.shown;
  if (shown === undefined || shown.state === "none") return "";
  if (shown.state === "live") return "live";
  if (shown.state === "gone") return "process gone";
  const seen = shown.last_seen_at === null ? Number.NaN : Date.parse(shown.last_seen_at);
  return Number.isFinite(seen) ? `no heartbeat for ${formatAge(Math.max(0, now - seen))}` : "no heartbeat";
}

/** From its start: to its end, of a live one to now, of any other to the last that is known of it. */
export function elapsedOf(run: Run, now: number): number | undefined {
  if (run.started_at === null) return undefined;
  const start = Date.parse(run.started_at);
  if (run.status === "running" && (run.shown === undefined || run.shown.state === "live"))
    return Math.max(0, now - start);
  const told = run.totals?.own.elapsed_ms;
  if (told !== undefined && told !== null) return told;
  const end = run.completed_at ?? run.shown?.last_seen_at ?? run.updated_at;
  return Math.max(0, Date.parse(end) - start);
}

/** Input and output tokens, cached or not. */
export function tokensOf(totals: NonNullable<Run["totals"]>["own"]): number {
  return (
    totals.tokens ??
    totals.input_tokens + totals.cache_read_tokens + totals.cache_write_tokens + totals.output_tokens
  );
}
