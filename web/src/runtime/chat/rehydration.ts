import { byCreation } from "../folds/lineage.ts";
import { fieldsOf, textOf } from "../folds/payloads.ts";
import { type ToolCall, toolCallsOf } from "../folds/toolCalls.ts";
import type { Message, Run, RunEvent } from "../wire/records.ts";
import { activityOf, type SubagentActivity } from "./activity.ts";

/** A line of a chat's timeline: a tool's call, or a sub-agent that was started. */
export interface ToolTimelineEntry {
  /** A call's id, or a run's. */
  id: string;
  name: string;
  /** The round of the chat's own loop in which it began, from 1; 0 where none was told. */
  round: number;
  status: string;
  displayName?: string;
  detail?: string;
  subagent?: SubagentActivity;
}

/** What the ledger has of a thread: its runs, and of each run the events and the messages of its worker thread. */
export interface ThreadRecords {
  threadId: string;
  runs: readonly Run[];
  events: Readonly<Record<string, readonly RunEvent[]>>;
  messages: Readonly<Record<string, readonly Message[]>>;
  /** The cursor from which the stream tells what happened since they were read. */
  asOf?: string;
}

export interface ThreadRows {
  timeline: ToolTimelineEntry[];
  /** By task id; nesting is in `parentTaskId`. */
  activities: Record<string, SubagentActivity>;
  /** Task ids in the ledger's order. */
  order: string[];
}

/** The rows of a thread, from nothing but what the ledger has: the same for any order in which its parts came.
 *
 * A run whose worker thread is this thread is a turn of the chat itself: its calls, and the runs that it started, are
 * the timeline. Other runs of the thread without a parent here stand beside them, in the order of creation.
 */
export function rowsOf(records: ThreadRecords): ThreadRows {
  const runs = [...new Map(records.runs.map((run) => [run.id, run])).values()].sort(byCreation);
  const byId = new Map(runs.map((run) => [run.id, run]));
  const turns = new Set(runs.filter((run) => run.worker_thread_id === records.threadId).map((run) => run.id));
  const activities: Record<string, SubagentActivity> = {};
  const order: string[] = [];
  for (const run of runs) {
    if (turns.has(run.id)) continue;
    const parent = run.parent_run_id;
    const parentTaskId = parent !== null && byId.has(parent) && !turns.has(parent) ? parent : undefined;
    const messages = run.worker_thread_id === null ? [] : (records.messages[run.worker_thread_id] ?? []);
    activities[run.id] = activityOf(run, eventsOf(records, run.id), messages, parentTaskId);
    order.push(run.id);
  }
  const timeline = runs.flatMap((run) => {
    if (turns.has(run.id)) return turnEntries(run, records, byId, activities);
    const startedByTurn = run.parent_run_id !== null && turns.has(run.parent_run_id);
    return activities[run.id]?.parentTaskId === undefined && !startedByTurn
      ? [spawnEntry(run, 0, activities)]
      : [];
  });
  return { timeline, activities, order };
}

function eventsOf(records: ThreadRecords, runId: string): RunEvent[] {
  const bySeq = new Map((records.events[runId] ?? []).map((event) => [event.seq, event]));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}

/** A turn's own calls and the runs that it started, in the order of its events; children without an event come last. */
function turnEntries(
  turn: Run,
  records: ThreadRecords,
  runs: Map<string, Run>,
  activities: Record<string, SubagentActivity>,
): ToolTimelineEntry[] {
  const events = eventsOf(records, turn.id);
  const placed: [number, ToolTimelineEntry][] = [];
  for (const call of toolCallsOf(events, turn.status)) placed.push([call.seq, callEntry(call)]);
  const rounds = new RoundsAlong(events);
  const children = new Set(
    [...runs.values()].filter((run) => run.parent_run_id === turn.id).map((run) => run.id),
  );
  for (const event of events) {
    const childId = event.type === "child.started" ? textOf(fieldsOf(event.payload).child_run_id) : undefined;
    const child = childId === undefined ? undefined : runs.get(childId);
    if (child === undefined || !children.delete(child.id)) continue;
    placed.push([event.seq, spawnEntry(child, rounds.at(event.seq), activities)]);
  }
  placed.sort((a, b) => a[0] - b[0]);
  const unplaced = [...children].map((id) => spawnEntry(runs.get(id) as Run, rounds.last, activities));
  return [...placed.map(([, entry]) => entry), ...unplaced];
}

/** Which round a run was in at a seq. */
class RoundsAlong {
  #starts: [number, number][] = [];

  constructor(events: readonly RunEvent[]) {
    for (const event of events) {
      const n = event.type === "iteration.started" ? fieldsOf(event.payload).n : undefined;
      if (typeof n === "number") this.#starts.push([event.seq, n]);
    }
  }

  at(seq: number): number {
    return this.#starts.findLast(([start]) => start < seq)?.[1] ?? 0;
  }

  get last(): number {
    return this.#starts.at(-1)?.[1] ?? 0;
  }
}

function callEntry(call: ToolCall): ToolTimelineEntry {
  const entry: ToolTimelineEntry = {
    id: call.callId,
    name: call.toolName,
    round: call.iteration ?? 0,
    status: call.status,
  };
  if (call.error !== undefined) entry.detail = call.error;
  return entry;
}

function spawnEntry(
  run: Run,
  round: number,
  activities: Record<string, SubagentActivity>,
): ToolTimelineEntry {
  const entry: ToolTimelineEntry = {
    id: run.id,
    name: run.agent_id ?? run.definition_id ?? run.kind,
    round,
    status: run.status,
  };
  const detail = run.error?.message ?? run.summary ?? run.status_reason;
  const subagent = activities[run.id];
  if (run.title !== null) entry.displayName = run.title;
  if (detail !== null && detail !== undefined) entry.detail = detail;
  if (subagent !== undefined) entry.subagent = subagent;
  return entry;
}
