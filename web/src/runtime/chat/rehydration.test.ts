import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { events, records, runs, THREAD } from "../../../tests/records/thread.ts";
import { canResume, isLive } from "../wire/statuses.ts";
import { rowsOf, type ThreadRecords } from "./rehydration.ts";

const rows = rowsOf(records);
const activity = (id: string) => {
  const found = rows.activities[id];
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
};

test("the timeline is the turn's calls and children in the order of its events, with their rounds", () => {
  expect(rows.timeline.map(({ id, round, status }) => [id, round, status])).toEqual([
    ["t1", 1, "completed"],
    ["done", 1, "completed"],
    ["gone", 2, "interrupted"],
    ["broken", 2, "failed"],
    ["t2", 2, "running"],
    ["asking", 2, "awaiting_user"],
    ["retried", 2, "running"],
    ["nested", 2, "running"],
    ["forked", 0, "completed"],
  ]);
});

test("a completed sub-agent has its calls, rounds, prose and title", () => {
  expect(activity("done")).toEqual({
    taskId: "done",
    agentId: "researcher",
    workerThreadId: "done-thread",
    status: "completed",
    toolCalls: [
      { callId: "c1", toolName: "grep", status: "completed", iteration: 1, elapsedMs: 40, outputChars: 12 },
      { callId: "c2", toolName: "read", status: "failed", iteration: 2 },
    ],
    transcript: [
      expect.objectContaining({ role: "user", text: "Which branch do we release from?" }),
      expect.objectContaining({ role: "assistant", text: "From <b>main</b>." }),
    ],
    iterations: 2,
    elapsedMs: 10_000,
  });
  const entry = rows.timeline.find(({ id }) => id === "done");
  expect(entry).toMatchObject({ displayName: "Find the branch", detail: "main", subagent: activity("done") });
});

test("a failed one says why, and prose that was not stored is absent", () => {
  expect(rows.timeline.find(({ id }) => id === "broken")?.detail).toBe("no such repository");
  expect(activity("broken")).not.toHaveProperty("transcript");
  expect(activity("broken")).not.toHaveProperty("workerThreadId");
  expect(activity("asking")).not.toHaveProperty("transcript");
});

test("an interrupted one never looks live: neither it nor its calls, and its time has stopped", () => {
  const gone = activity("gone");
  expect(isLive(gone.status)).toBe(false);
  expect(canResume(gone.status)).toBe(true);
  expect(gone.toolCalls.map(({ status }) => status)).toEqual(["interrupted"]);
  expect(gone.elapsedMs).toBe(28_000);
});

test("a call of an earlier attempt is interrupted, and one that was made again stands once, as it is now", () => {
  expect(activity("retried").toolCalls.map(({ callId, status }) => [callId, status])).toEqual([
    ["c9", "interrupted"],
    ["c1", "running"],
  ]);
});

test("nesting follows lineage, three deep; what the turn started is at the top", () => {
  const parents = Object.fromEntries(rows.order.map((id) => [id, activity(id).parentTaskId]));
  expect(parents).toMatchObject({ done: undefined, nested: undefined, deeper: "nested", deepest: "deeper" });
  expect(rows.timeline.some(({ id }) => id === "deeper")).toBe(false);
});

test("events of unknown types and broken payloads are passed over, and a call's end alone makes its row", () => {
  expect(activity("deepest").toolCalls).toEqual([{ callId: "late", toolName: "fetch", status: "completed" }]);
});

describe("late parents", () => {
  test("a run whose parent is not there yet stands at the top, and moves below it when that comes", () => {
    const early = rowsOf({ ...records, runs: runs.filter(({ id }) => id !== "deeper") });
    expect(early.activities.deepest?.parentTaskId).toBeUndefined();
    expect(early.timeline.some(({ id }) => id === "deepest")).toBe(true);
    expect(activity("deepest").parentTaskId).toBe("deeper");
  });
});

test("any order, repetition and split of the records gives the same rows", () => {
  const shuffled = <T>(list: readonly T[]) =>
    fc
      .tuple(
        fc.shuffledSubarray([...list], { minLength: list.length }),
        fc.subarray([...list]),
        fc.nat({ max: list.length }),
      )
      .map(([all, again, at]) => [...all.slice(0, at), ...again, ...all.slice(at)]);
  const anyRecords = fc.record({
    threadId: fc.constant(THREAD),
    runs: shuffled(runs),
    events: fc.record(Object.fromEntries(Object.entries(events).map(([id, list]) => [id, shuffled(list)]))),
    messages: fc.record({ "done-thread": shuffled(records.messages["done-thread"] ?? []) }),
  });
  fc.assert(
    fc.property(anyRecords, (given) => {
      expect(rowsOf(given as ThreadRecords)).toEqual(rows);
    }),
  );
});
