import { fieldsOf, numberOf, type RunEvent } from "@runstone/react";
import { formatDuration } from "../../format/durations.ts";
import { formatCount } from "../../format/numbers.ts";
import { visible } from "../../format/visible.ts";

export interface EventFilter {
  /** Part of the type or of the line. */
  type: string;
  level: "all" | "normal" | "high";
}

const LOWEST = { all: 0, normal: 1, high: 2 };

/** The events that the filter lets through. */
export function shownEvents(events: readonly RunEvent[], filter: EventFilter): readonly RunEvent[] {
  const wanted = filter.type.toLowerCase();
  const lowest = LOWEST[filter.level];
  // As they are with each batch another list, so that a list of the same events that grew counts as one that changed.
  return events.filter(
    (event) =>
      event.importance >= lowest &&
      (wanted === "" || event.type.includes(wanted) || eventLine(event).toLowerCase().includes(wanted)),
  );
}

/** Where the event with that seq is; -1 where it is not. */
export function indexOfSeq(events: readonly RunEvent[], seq: number): number {
  let [low, high] = [0, events.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = events[middle]?.seq ?? 0;
    if (at === seq) return middle;
    if (at < seq) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
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
  const fields = fieldsOf(event.payload);
  if (event.type === "tool.completed") return callLine(fields);
  const named = TELLING.flatMap((name) => (hasWord(fields[name]) ? [String(fields[name])] : []));
  if (fields.ok === false) named.push("failed");
  const errorMessage = fieldsOf(fields.error).message;
  if (hasWord(errorMessage)) named.push(String(errorMessage));
  const line =
    named.length > 0 ? named.join(" · ") : Object.keys(fields).length > 0 ? JSON.stringify(fields) : "";
  return line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)}…` : line;
}

export function hasWord(value: unknown): value is string | number {
  return (typeof value === "string" && value !== "") || typeof value === "number";
}
