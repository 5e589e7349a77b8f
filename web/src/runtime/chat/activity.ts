import { iterationsOf, toolCallsOf } from "../folds/toolCalls.ts";
import { type TranscriptLine, transcriptOf } from "../folds/transcript.ts";
import type { Message, Run, RunEvent } from "../wire/records.ts";
import { elapsedBetween } from "../wire/times.ts";

export interface ActivityToolCall {
  callId: string;
  toolName: string;
  status: string;
  iteration?: number;
  elapsedMs?: number;
  outputChars?: number;
}

/** What a sub-agent does or did, for a chat that shows it below the message that started it. */
export interface SubagentActivity {
  /** The run's id. */
  taskId: string;
  agentId: string;
  workerThreadId?: string;
  /** The run's status as shown: `interrupted` is never told as `running`. */
  status: string;
  parentTaskId?: string;
  toolCalls: ActivityToolCall[];
  /** Absent where the worker thread holds no prose. */
  transcript?: TranscriptLine[];
  iterations?: number;
  elapsedMs?: number;
}

/** What a run's row, its events and its worker thread add up to. */
export function activityOf(
  run: Run,
  events: readonly RunEvent[],
  messages: readonly Message[],
  parentTaskId: string | undefined,
): SubagentActivity {
  const activity: SubagentActivity = {
    taskId: run.id,
    agentId: run.agent_id ?? run.definition_id ?? run.kind,
    status: run.status,
    toolCalls: callsOf(events, run.status),
  };
  const [transcript, iterations, elapsedMs] = [transcriptOf(messages), iterationsOf(events), elapsedOf(run)];
  if (run.worker_thread_id !== null) activity.workerThreadId = run.worker_thread_id;
  if (parentTaskId !== undefined) activity.parentTaskId = parentTaskId;
  if (transcript.length > 0) activity.transcript = transcript;
  if (iterations > 0) activity.iterations = iterations;
  if (elapsedMs !== undefined) activity.elapsedMs = elapsedMs;
  return activity;
}

/** From start to end as the ledger tells it: of an interrupted run to the last that is known of it. */
function elapsedOf(run: Run): number | undefined {
  const told = run.totals?.own.elapsed_ms;
  return told ?? elapsedBetween(run.started_at, run.completed_at ?? run.shown?.last_seen_at ?? null);
}

/** A call that a later attempt made again stands once, as it went there. */
function callsOf(events: readonly RunEvent[], status: string): ActivityToolCall[] {
  const calls = new Map<string, ActivityToolCall>();
  for (const call of toolCallsOf(events, status)) {
    const shown: ActivityToolCall = { callId: call.callId, toolName: call.toolName, status: call.status };
    if (call.iteration !== undefined) shown.iteration = call.iteration;
    if (call.elapsedMs !== undefined) shown.elapsedMs = call.elapsedMs;
    if (call.outputChars !== undefined) shown.outputChars = call.outputChars;
    calls.delete(call.callId);
    calls.set(call.callId, shown);
  }
  return [...calls.values()];
}
