import type { Totals, UsageLine } from "@runstone/react";

export const RANGES = ["7d", "24h", "30d", "90d", "all"] as const;
export type Range = (typeof RANGES)[number];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LENGTHS: Record<Range, number> = {
  "24h": DAY,
  "7d": 7 * DAY,
  "30d": 30 * DAY,
  "90d": 90 * DAY,
  all: Infinity,
};
/** More days than these are not drawn one by one; the list has them. */
const MOST_BARS = 400;

export interface Bar {
  /** When its part of time begins, as the server names it. */
  at: string;
  start: number;
  totals: Totals | undefined;
}

export function partOf(range: Range): "hour" | "day" {
  return range === "24h" ? "hour" : "day";
}

/** From when on the range is, to a whole hour or day (UTC), so that a question asked again is the same. */
export function sinceOf(range: Range, now: number): string | undefined {
  const length = LENGTHS[range];
  if (length === Infinity) return undefined;
  const unit = partOf(range) === "hour" ? HOUR : DAY;
  return new Date(Math.ceil((now - length) / unit) * unit).toISOString();
}

/** A bar for each part of time, those without a request, too. */
export function barsOf(lines: readonly UsageLine[], range: Range, now: number): Bar[] {
  const part = partOf(range);
  const unit = part === "hour" ? HOUR : DAY;
  const known = new Map<number, Bar>();
  for (const { by, totals } of lines) {
    const at = by[part];
    if (at == null) continue;
    known.set(Date.parse(at), { at, start: Date.parse(at), totals });
  }
  const first = sinceOf(range, now);
  const start = first === undefined ? Math.min(now, ...known.keys()) : Date.parse(first);
  const bars: Bar[] = [];
  for (let at = Math.floor(start / unit) * unit; at <= now && bars.length < MOST_BARS; at += unit) {
    const name = new Date(at).toISOString();
    bars.push(known.get(at) ?? { at: name, start: at, totals: undefined });
  }
  return bars;
}

/** The lines as a table for a spreadsheet; an unknown cost is an empty cell, never 0. */
export function csvOf(names: readonly string[], lines: readonly UsageLine[]): string {
  const head = [
    ...names,
    "requests",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_usd",
    "cost_complete",
  ];
  const rows = lines.map(({ by, totals }) => [
    ...names.map((name) => by[name] ?? ""),
    totals.requests ?? "",
    totals.input_tokens,
    totals.cache_read_tokens,
    totals.cache_write_tokens,
    totals.output_tokens,
    totals.cost_usd ?? "",
    totals.complete,
  ]);
  return [head, ...rows].map((row) => row.map(cellOf).join(",")).join("\r\n");
}

/** A cell that begins like a formula is none: names come from agents. */
function cellOf(value: string | number | boolean): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
