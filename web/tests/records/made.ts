/** Records as the API gives them, for tests; each names only what it is about. */
import type { Message, Run, RunEvent } from "../../src/runtime/index.ts";

const START = Date.parse("2026-01-05T09:00:00Z");

export function timeAt(seconds: number): string {
  return new Date(START + seconds * 1000).toISOString();
}

export function madeRun(id: string, more: Partial<Run> = {}): Run {
  return {
    id,
    kind: "subagent",
    parent_run_id: null,
    root_run_id: id,
    depth: 0,
    forked_from: null,
    parent_thread_id: null,
    agent_id: "researcher",
    agent_version: "1",
    title: null,
    status: "completed",
    status_reason: null,
    wake_at: null,
    phase: null,
    worker_thread_id: null,
    labels: {},
    attempt: 1,
    owner: null,
    created_at: timeAt(0),
    started_at: timeAt(1),
    updated_at: timeAt(9),
    completed_at: timeAt(9),
    summary: null,
    prompt_ref: null,
    options: {},
    task_board_id: null,
    task_card_id: null,
    child_key: null,
    pinned: false,
    archived: false,
    lease_expires_at: null,
    forked_from_checkpoint: null,
    input_ref: null,
    result_ref: null,
    error: null,
    superseded: false,
    detached: false,
    definition_id: null,
    definition_hash: null,
    ...more,
  };
}

export function madeEvent(
  runId: string,
  seq: number,
  type: string,
  payload: unknown = {},
  attempt = 1,
): RunEvent {
  return {
    run_id: runId,
    seq,
    position: seq,
    type,
    payload,
    importance: 1,
    timestamp: timeAt(seq),
    attempt,
    event_key: null,
  };
}

export function madeMessage(threadId: string, seq: number, role: string, text: string): Message {
  return {
    id: `${threadId}-m${seq}`,
    thread_id: threadId,
    seq,
    role,
    text,
    run_id: null,
    attempt: 1,
    timestamp: timeAt(seq),
    extra: null,
  };
}
