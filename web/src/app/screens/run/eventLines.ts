import { fieldsOf, numberOf, type RunEvent } from "@runstone/react";
import { formatDuration } from "../../format/durations.ts";
import { formatBytes, formatCount } from "../../format/numbers.ts";
import { shortId } from "../../format/runs.ts";
import { visible } from "../../format/visible.ts";

/** Whether an event's type or line has these words, in small letters. */
export function fitsText(event: RunEvent, words: string): boolean {
  if (event.type.includes(words) || eventLine(event).toLowerCase().includes(words)) return true;
  const { child_run_id: child } = fieldsOf(event.payload);
  return typeof child === "string" && child.toLowerCase().includes(words);
}

/** How many of them come after that seq. */
export function countAfter(events: readonly RunEvent[], seq: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.seq ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return events.length - low;
}

/** A call's end names no tool, as its start has: what it says is how it went. */
function callLine(fields: Record<string, unknown>): string {
  const error = hasWord(fields.error) ? String(fields.error) : "failed";
  return [
    hasWord(fields.tool) ? String(fields.tool) : "",
    fields.ok === false ? error : "ok",
    formatDuration(numberOf(fields.elapsed_ms)),
    typeof fields.output_chars === "number" ? `${formatCount(fields.output_chars)} characters` : "",
    String(fields.call_id ?? ""),
  ]
    .filter((part) => part !== "")
    .join(" · ")
    .slice(0, LINE_CHARS);
}

/** Longer texts are for the event's own view. */
const LINE_CHARS = 300;
/** What says most about an event, in this order. */
const TELLING = [
  "attempt",
  "tool",
  "name",
  "phase",
  "message",
  "reason",
  "summary",
  "error",
  "label",
  "verb",
  "n",
  "number",
  "model",
  "child_run_id",
  "status",
  "title",
];

/** A line on an event, from its payload; of any shape. */
export function eventLine(event: RunEvent): string {
  return visible(ownLine(event));
}

function ownLine(event: RunEvent): string {
  if (event.payload_ref !== undefined) return `a payload of ${formatBytes(event.payload_bytes ?? 0)}`;
  const fields = fieldsOf(event.payload);
  if (event.type === "tool.completed") return callLine(fields);
  const named = TELLING.flatMap((name) =>
    hasWord(fields[name]) ? [wordOf(event.type, name, fields[name])] : [],
  );
  if (fields.ok === false) named.push("failed");
  const errorMessage = fieldsOf(fields.error).message;
  if (hasWord(errorMessage)) named.push(String(errorMessage));
  const line =
    named.length > 0 ? named.join(" · ") : Object.keys(fields).length > 0 ? JSON.stringify(fields) : "";
  return line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)}…` : line;
}

/** A number alone says nothing of what it counts; of ids the last characters are shown, as everywhere. */
function wordOf(type: string, name: string, value: string | number): string {
  if (name === "child_run_id") return shortId(String(value));
  if (name === "attempt") return `attempt ${value}`;
  return name === "n" && type === "iteration.started" ? `round ${value}` : String(value);
}

export function hasWord(value: unknown): value is string | number {
  return (typeof value === "string" && value !== "") || typeof value === "number";
}
