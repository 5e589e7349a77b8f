import type { RunEvent } from "../wire/records.ts";
import { fieldsOf, numberOf, textOf } from "./payloads.ts";

export type ToolStatus = "running" | "completed" | "failed" | "interrupted";

/** A tool's call, as its events tell of it. */
export interface ToolCall {
  callId: string;
  toolName: string;
  status: ToolStatus;
  attempt: number;
  /** The seq of the first event that told of it: its place. */
  seq: number;
  startedAt: string;
  iteration?: number;
  elapsedMs?: number;
  outputChars?: number;
  error?: string;
  argumentsRef?: string;
}

/** The round of an agent's loop that an attempt is in, as of its last `iteration.started`. */
export interface Iterations {
  /** How many rounds began, over all attempts. */
  count: number;
  byAttempt: Map<number, number>;
}

/** The calls of a run in the order in which they began; `status` is the run's as shown.
 *
 * A call that did not end is running only while its own attempt is the run's last one and goes on: after that
 * it is interrupted, whoever forgot to say so.
 */
export function toolCallsOf(events: readonly RunEvent[], status: string): ToolCall[] {
  const calls = new Map<string, ToolCall>();
  const iterations: Iterations = { count: 0, byAttempt: new Map() };
  let attempt = 0;
  for (const event of events) {
    attempt = Math.max(attempt, event.attempt);
    if (event.type === "iteration.started") noteIteration(iterations, event);
    else if (event.type === "tool.started" || event.type === "tool.completed")
      noteCall(calls, event, iterations);
  }
  const ordered = [...calls.values()].sort((a, b) => a.seq - b.seq);
  const open = OPEN.has(status);
  for (const call of ordered)
    if (call.status === "running" && (!open || call.attempt < attempt)) call.status = "interrupted";
  return ordered;
}

/** Statuses in which the run's last attempt goes on with a call that it began. */
const OPEN = new Set(["pending", "running", "waiting", "awaiting_user"]);

/** How many rounds began, over all attempts. */
export function iterationsOf(events: readonly RunEvent[]): number {
  return events.reduce((count, event) => count + (event.type === "iteration.started" ? 1 : 0), 0);
}

function noteIteration(iterations: Iterations, event: RunEvent): void {
  iterations.count += 1;
  const n = numberOf(fieldsOf(event.payload).n);
  if (n !== undefined) iterations.byAttempt.set(event.attempt, n);
}

function noteCall(calls: Map<string, ToolCall>, event: RunEvent, iterations: Iterations): void {
  const fields = fieldsOf(event.payload);
  const callId = textOf(fields.call_id);
  if (callId === undefined) return;
  const key = `${event.attempt}:${callId}`;
  const known = calls.get(key);
  const call: ToolCall = known ?? {
    callId,
    toolName: textOf(fields.tool) ?? "unknown tool",
    status: "running",
    attempt: event.attempt,
    seq: event.seq,
    startedAt: event.timestamp,
  };
  const iteration = iterations.byAttempt.get(event.attempt);
  if (known === undefined && iteration !== undefined) call.iteration = iteration;
  if (event.type === "tool.started") noteStart(call, fields);
  else noteEnd(call, fields);
  calls.set(key, call);
}

function noteStart(call: ToolCall, fields: Record<string, unknown>): void {
  const argumentsRef = textOf(fields.arguments_ref);
  if (argumentsRef !== undefined) call.argumentsRef = argumentsRef;
}

function noteEnd(call: ToolCall, fields: Record<string, unknown>): void {
  call.status = fields.ok === false || fields.error != null ? "failed" : "completed";
  const [elapsedMs, outputChars, error] = [
    numberOf(fields.elapsed_ms),
    numberOf(fields.output_chars),
    textOf(fields.error),
  ];
  if (elapsedMs !== undefined) call.elapsedMs = elapsedMs;
  if (outputChars !== undefined) call.outputChars = outputChars;
  if (error !== undefined) call.error = error;
}
