import { compareTimes, type RunSpan, type TimelineRow } from "@runstone/react";
import { formatDuration } from "../../../format/durations.ts";
import { visible } from "../../../format/visible.ts";
import type { Interval } from "./axis.ts";

/** A line of the timeline: a run, how deep it is, and whether what is below it is shown. */
export interface Line {
  row: TimelineRow;
  level: number;
  expanded?: boolean;
}

/** The lines of what is unfolded: each run below the one that started it, siblings in the order of their start. */
export function linesOf(rows: readonly TimelineRow[], folded: ReadonlySet<string>): Line[] {
  const known = new Set(rows.map((row) => row.run_id));
  const below = new Map<string | null, TimelineRow[]>();
  for (const row of rows) {
    const parent = row.parent_run_id !== null && known.has(row.parent_run_id) ? row.parent_run_id : null;
    const siblings = below.get(parent);
    if (siblings === undefined) below.set(parent, [row]);
    else siblings.push(row);
  }
  const ordered = (of: string | null) =>
    (below.get(of) ?? []).toSorted(
      (a, b) => timesOf(a).start - timesOf(b).start || compareTimes(a.start, b.start),
    );
  const lines: Line[] = [];
  const left = ordered(null)
    .map((row) => ({ row, level: 1 }))
    .reverse();
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { row, level } = next;
    const hasBelow = row.children > 0 || below.has(row.run_id);
    const expanded = hasBelow && !folded.has(row.run_id);
    lines.push(hasBelow ? { row, level, expanded } : { row, level });
    if (!expanded) continue;
    for (const child of ordered(row.run_id).reverse()) left.push({ row: child, level: level + 1 });
  }
  return lines;
}

/** When somebody worked, in the order of beginnings: attempts of runs with nothing below them, and of all if there are
 * no others. What goes on has no end, so that it need not be found anew as time passes. */
export function busyTimes(rows: readonly TimelineRow[]): Interval[] {
  const leaves = rows.filter((row) => row.children === 0);
  return (leaves.length === 0 ? rows : leaves)
    .flatMap((row) => timesOf(row).attempts)
    .sort((one, other) => one[0] - other[0]);
}

/** The last moment that is known of. */
export function lastMoment(rows: readonly TimelineRow[]): number {
  return rows.reduce((last, row) => Math.max(last, timesOf(row).last), 0);
}

interface Times {
  start: number;
  last: number;
  attempts: readonly Interval[];
}

/** Of each row once: reading the times of thousands of rows takes longer than drawing those in view. */
const times = new WeakMap<TimelineRow, Times>();

function timesOf(row: TimelineRow): Times {
  let found = times.get(row);
  if (found === undefined) {
    const spans = row.spans.map((span) => ({ ...span, from: Date.parse(span.start), to: endOf(span.end) }));
    const known = spans.flatMap(({ from, to }) => (Number.isFinite(to) ? [from, to] : [from]));
    const start = Date.parse(row.start);
    found = {
      start,
      last: Math.max(row.end === null ? start : Date.parse(row.end), ...known),
      attempts: spans.filter(({ kind }) => kind === "attempt").map(({ from, to }): Interval => [from, to]),
    };
    times.set(row, found);
  }
  return found;
}

function endOf(time: string | null): number {
  return time === null ? Number.POSITIVE_INFINITY : Date.parse(time);
}

export function rowName(row: Pick<TimelineRow, "title" | "agent_id" | "kind">): string {
  return visible(row.title ?? row.agent_id ?? row.kind.replaceAll("_", " "));
}

/** Outcomes of attempts that came to where nothing could be done for a while: until then they were at work. */
const PARKED = new Set(["waiting", "awaiting_user", "paused"]);

/** What a part of a run's life is drawn as: a pattern for each kind, beside its colour. */
export function spanLook(span: RunSpan, isLast: boolean, status: string): string {
  if (span.kind !== "attempt") return span.kind;
  const outcome = span.end === null ? (isLast ? status : "running") : (span.outcome ?? "running");
  return PARKED.has(outcome) ? "running" : outcome;
}

const WORDS: Record<string, string> = {
  awaiting_user: "waits for a person",
  waiting: "waits",
  paused: "paused",
  pending: "queued",
  interrupted: "interrupted",
};

const OUTCOMES: Record<string, string> = {
  awaiting_user: "then waits for a person",
  waiting: "then waits",
  paused: "then paused",
  cancelled: "stopped",
};

/** The name of a bar for who can't see it: `attempt 2, 1.2 s, failed: the network was away`. */
export function spanLabel(span: RunSpan, isLast: boolean, status: string, now: number): string {
  const took = formatDuration((span.end === null ? now : Date.parse(span.end)) - Date.parse(span.start));
  const reason = span.reason === null || span.reason === "" ? "" : `: ${visible(span.reason)}`;
  if (span.kind !== "attempt") return `${WORDS[span.kind] ?? span.kind}, ${took}${reason}`;
  const outcome = span.end === null ? (isLast ? status : "running") : (span.outcome ?? "running");
  return `attempt ${span.attempt ?? 1}, ${took}, ${OUTCOMES[outcome] ?? outcome}${reason}`;
}

/** What happened in a part of a run's time, in words. */
export function activityLabel(part: { tool_calls: number; tool_failures: number; steps: number }): string {
  const calls = `${part.tool_calls} tool ${part.tool_calls === 1 ? "call" : "calls"}`;
  const failed = part.tool_failures > 0 ? `, ${part.tool_failures} failed` : "";
  const steps = part.steps > 0 ? `, ${part.steps} ${part.steps === 1 ? "step" : "steps"}` : "";
  return `${calls}${failed}${steps}`;
}

/** How many runs were at work, over the whole time, in so many equal parts. */
export function densityOf(busy: readonly Interval[], from: number, to: number, parts: number): number[] {
  const counts = new Array<number>(parts).fill(0);
  const length = (to - from) / parts || 1;
  for (const [a, b] of busy) {
    const first = Math.max(0, Math.floor((a - from) / length));
    const last = Math.min(parts - 1, Math.floor((b - from) / length));
    for (let part = first; part <= last; part += 1) counts[part] = (counts[part] ?? 0) + 1;
  }
  return counts;
}
