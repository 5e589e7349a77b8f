/** A thread of a chat with everything that can happen to a sub-agent in it. */
import type { Run, RunEvent, ThreadRecords } from "../../src/runtime/index.ts";
import { madeEvent, madeMessage, madeRun, timeAt } from "./made.ts";

export const THREAD = "chat-1";

/** The turn of the chat itself: its worker thread is the chat's. */
const turn = madeRun("turn", {
  kind: "worker_thread",
  agent_id: "chat",
  status: "waiting",
  worker_thread_id: THREAD,
  parent_thread_id: THREAD,
  created_at: timeAt(0),
  completed_at: null,
});

function child(id: string, second: number, more: Partial<Run>): Run {
  return madeRun(id, {
    parent_run_id: "turn",
    root_run_id: "turn",
    depth: 1,
    parent_thread_id: THREAD,
    worker_thread_id: `${id}-thread`,
    created_at: timeAt(second),
    started_at: timeAt(second),
    ...more,
  });
}

export const runs: Run[] = [
  turn,
  child("done", 10, { title: "Find the branch", summary: "main", completed_at: timeAt(20) }),
  child("broken", 11, {
    status: "failed",
    error: { type: "ToolFailed", message: "no such repository" },
    worker_thread_id: null,
  }),
  child("gone", 12, {
    status: "interrupted",
    status_reason: "its owner is gone",
    completed_at: null,
    shown: { state: "gone", last_seen_at: timeAt(40), expires_at: timeAt(70) },
  }),
  child("asking", 13, { status: "awaiting_user", status_reason: "Which branch?", completed_at: null }),
  child("retried", 14, { status: "running", attempt: 2, completed_at: null }),
  child("forked", 15, { forked_from: "done", parent_run_id: null, root_run_id: "forked", depth: 0 }),
  child("nested", 16, { status: "running", completed_at: null }),
  child("deeper", 17, { parent_run_id: "nested", depth: 2, parent_thread_id: null }),
  child("deepest", 18, { parent_run_id: "deeper", depth: 3, parent_thread_id: null, created_at: timeAt(18) }),
];

const started = (id: string) => ({ child_run_id: id, agent_id: "researcher" });

export const events: Record<string, RunEvent[]> = {
  turn: [
    madeEvent("turn", 1, "run.created"),
    madeEvent("turn", 2, "run.started", { attempt: 1 }),
    madeEvent("turn", 3, "iteration.started", { n: 1 }),
    madeEvent("turn", 4, "tool.started", { call_id: "t1", tool: "search" }),
    madeEvent("turn", 5, "tool.completed", { call_id: "t1", ok: true, elapsed_ms: 1200, output_chars: 300 }),
    madeEvent("turn", 6, "child.started", started("done")),
    madeEvent("turn", 7, "iteration.started", { n: 2 }),
    madeEvent("turn", 8, "child.started", started("gone")),
    madeEvent("turn", 9, "child.started", started("broken")),
    madeEvent("turn", 10, "tool.started", { call_id: "t2", tool: "spawn" }),
    ...["asking", "retried", "nested"].map((id, at) =>
      madeEvent("turn", 11 + at, "child.started", started(id)),
    ),
  ],
  done: [
    madeEvent("done", 1, "iteration.started", { n: 1 }),
    madeEvent("done", 2, "tool.started", { call_id: "c1", tool: "grep" }),
    madeEvent("done", 3, "tool.completed", { call_id: "c1", ok: true, elapsed_ms: 40, output_chars: 12 }),
    madeEvent("done", 4, "iteration.started", { n: 2 }),
    madeEvent("done", 5, "tool.started", { call_id: "c2", tool: "read" }),
    madeEvent("done", 6, "tool.completed", { call_id: "c2", ok: false, error: "not found" }),
  ],
  gone: [
    madeEvent("gone", 1, "run.started", { attempt: 1 }),
    madeEvent("gone", 2, "tool.started", { call_id: "c1", tool: "build" }),
  ],
  retried: [
    madeEvent("retried", 1, "tool.started", { call_id: "c1", tool: "build" }),
    madeEvent("retried", 2, "tool.started", { call_id: "c9", tool: "lint" }),
    madeEvent("retried", 3, "run.interrupted", {}, 1),
    madeEvent("retried", 4, "run.started", { attempt: 2 }, 2),
    madeEvent("retried", 5, "tool.started", { call_id: "c1", tool: "build" }, 2),
  ],
  deepest: [
    madeEvent("deepest", 1, "weather.observed", { sky: "clear" }),
    madeEvent("deepest", 2, "tool.started", null),
    madeEvent("deepest", 3, "tool.completed", { call_id: "late", ok: true, tool: "fetch" }),
    madeEvent("deepest", 4, "iteration.started", { n: "many" }),
  ],
};

export const records: ThreadRecords = {
  threadId: THREAD,
  runs,
  events,
  messages: {
    "done-thread": [
      madeMessage("done-thread", 1, "user", "Which branch do we release from?"),
      madeMessage("done-thread", 2, "assistant", "From <b>main</b>."),
    ],
  },
};
