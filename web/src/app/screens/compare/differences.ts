import { formatDuration } from "../../format/durations.ts";
import { formatCost } from "../../format/numbers.ts";
import { visible } from "../../format/visible.ts";

const SHOWN_CHARS = 500;

/** How much longer or shorter, with its sign; nothing where it is the same. */
export function durationChange(a: number, b: number): string {
  return a === b ? "" : `${b > a ? "+" : "−"}${formatDuration(Math.abs(b - a))}`;
}

/** How much dearer or cheaper; unknown where either is. */
export function costChange(a: string | null, b: string | null): string {
  if (a === null || b === null) return a === b ? "" : "unknown";
  const change = Number(b) - Number(a);
  return Math.abs(change) < 1e-12 ? "" : `${change > 0 ? "+" : "−"}${formatCost(Math.abs(change))}`;
}

/** A value in a line, cut where it is long. */
export function valueText(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return visible(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
}
