import type { RunEvent } from "../wire/records.ts";

/** What one message of the stream says. */
export type Frame =
  | { kind: "events"; events: RunEvent[]; cursor: string | null }
  | { kind: "reset"; reason: string; cursor: string | null }
  | { kind: "gap"; after: number; removedUpTo: number; cursor: string | null }
  | { kind: "reconnect"; cursor: null }
  | { kind: "cursor"; cursor: string | null };

/** The names that messages of the stream may have, beside those without one. */
export const FRAME_NAMES = ["message", "reset", "gap", "reconnect"] as const;

/** Reads a message of the stream: its name, its id (the cursor after it) and its data. Raises nothing: what can't be
 * read moves the cursor only, as the pages that are fetched after it have it anyway.
 */
export function frameOf(name: string, id: string, data: string): Frame {
  const cursor = id === "" ? null : id;
  if (name === "reconnect") return { kind: "reconnect", cursor: null };
  const value = read(data);
  if (name === "reset" || typeOf(value) === "ledger.reset")
    return { kind: "reset", reason: reasonOf(value), cursor };
  if (name === "gap" || typeOf(value) === "ledger.gap") return { kind: "gap", ...boundsOf(value), cursor };
  const events = (Array.isArray(value) ? value : [value]).filter(isEvent);
  return events.length > 0 ? { kind: "events", events, cursor } : { kind: "cursor", cursor };
}

function read(data: string): unknown {
  if (data === "") return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

function isEvent(value: unknown): value is RunEvent {
  if (typeof value !== "object" || value === null) return false;
  const event = value as Partial<RunEvent>;
  return typeof event.run_id === "string" && typeof event.seq === "number" && typeof event.type === "string";
}

function typeOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (value as { type?: unknown }).type : undefined;
}

function inner(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  const { payload } = value as { payload?: unknown };
  return (typeof payload === "object" && payload !== null ? payload : value) as Record<string, unknown>;
}

function reasonOf(value: unknown): string {
  const { reason } = inner(value);
  return typeof reason === "string" ? reason : "the ledger is another one";
}

function boundsOf(value: unknown): { after: number; removedUpTo: number } {
  const { after, removed_up_to: removed } = inner(value);
  return { after: Number(after ?? 0), removedUpTo: Number(removed ?? 0) };
}
