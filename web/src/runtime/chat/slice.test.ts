import { configureStore } from "@reduxjs/toolkit";
import { expect, test } from "vitest";
import { records, runs, THREAD } from "../../../tests/records/thread.ts";
import type { ThreadRecords, ToolTimelineEntry } from "./rehydration.ts";
import {
  chatRuntimeReducer,
  entryReported,
  hydrateFromLedger,
  selectChatRevision,
  selectChildren,
  selectIsHydrated,
  selectLiveSubagents,
  selectResumable,
  selectSubagents,
  selectToolTimeline,
} from "./slice.ts";

const newStore = () => configureStore({ reducer: { chatRuntime: chatRuntimeReducer } });
const entry = (id: string, status = "running"): ToolTimelineEntry => ({
  id,
  name: "search",
  round: 7,
  status,
});

test("a row of the ledger replaces a stale one of the app, and the ledger's order is the order", () => {
  const store = newStore();
  for (const id of ["gone", "t1", "done"])
    store.dispatch(entryReported({ threadId: THREAD, entry: entry(id) }));
  store.dispatch(hydrateFromLedger({ records, askedAt: selectChatRevision(store.getState()) }));
  const timeline = selectToolTimeline(store.getState(), THREAD);
  expect(timeline.map(({ id }) => id).slice(0, 3)).toEqual(["t1", "done", "gone"]);
  expect(timeline.find(({ id }) => id === "gone")).toMatchObject({ status: "interrupted", round: 2 });
  expect(timeline.filter(({ id }) => id === "done")).toHaveLength(1);
  expect(selectIsHydrated(store.getState(), THREAD)).toBe(true);
});

test("a row that the ledger knows nothing of is of no work, unless it came after it was asked", () => {
  const store = newStore();
  store.dispatch(entryReported({ threadId: THREAD, entry: entry("ghost") }));
  const askedAt = selectChatRevision(store.getState());
  store.dispatch(entryReported({ threadId: THREAD, entry: entry("newer") }));
  store.dispatch(hydrateFromLedger({ records, askedAt }));
  const ids = () => selectToolTimeline(store.getState(), THREAD).map(({ id }) => id);
  expect(ids()).not.toContain("ghost");
  expect(ids().at(-1)).toBe("newer");
  store.dispatch(hydrateFromLedger({ records, askedAt: selectChatRevision(store.getState()) }));
  expect(ids()).not.toContain("newer");
});

test("what the app says late does not overwrite what the ledger said", () => {
  const store = newStore();
  store.dispatch(hydrateFromLedger({ records, askedAt: 0 }));
  store.dispatch(entryReported({ threadId: THREAD, entry: entry("gone", "running") }));
  expect(selectToolTimeline(store.getState(), THREAD).find(({ id }) => id === "gone")?.status).toBe(
    "interrupted",
  );
});

test("rehydrating again changes nothing, and another thread is left alone", () => {
  const store = newStore();
  store.dispatch(entryReported({ threadId: "chat-2", entry: entry("other") }));
  store.dispatch(hydrateFromLedger({ records, askedAt: 1 }));
  const first = store.getState();
  store.dispatch(hydrateFromLedger({ records: { ...records, runs: [...runs].reverse() }, askedAt: 1 }));
  expect(store.getState()).toEqual(first);
  expect(selectToolTimeline(first, "chat-2").map(({ id }) => id)).toEqual(["other"]);
});

test("selectors tell who works, who can go on, and who started whom", () => {
  const store = newStore();
  store.dispatch(hydrateFromLedger({ records, askedAt: 0 }));
  const state = store.getState();
  const ids = (list: { taskId: string }[]) => list.map(({ taskId }) => taskId);
  expect(ids(selectSubagents(state, THREAD))).toEqual(runs.slice(1).map(({ id }) => id));
  expect(ids(selectLiveSubagents(state, THREAD))).toEqual(["retried", "nested"]);
  expect(ids(selectResumable(state, THREAD))).toEqual(["broken", "gone"]);
  expect(ids(selectChildren(state, THREAD, "nested"))).toEqual(["deeper"]);
  expect(selectSubagents(state, "no-thread")).toEqual([]);
});

test("what did not change since it was told last stays the same object, so that its row is not drawn again", () => {
  const store = newStore();
  const hydrate = (told: ThreadRecords) => store.dispatch(hydrateFromLedger({ records: told, askedAt: 0 }));
  hydrate(records);
  const before = selectSubagents(store.getState(), THREAD);
  hydrate(structuredClone(records));
  expect(selectSubagents(store.getState(), THREAD)).toBe(before);
  const ended = runs.map((run) => (run.id === "nested" ? { ...run, status: "completed" as const } : run));
  hydrate({ ...records, runs: ended });
  const after = selectSubagents(store.getState(), THREAD);
  const others = after.filter((one, at) => one !== before[at]).map((one) => one.taskId);
  expect(others).toEqual(["nested"]);
});

test("an answer of the ledger that a later one has overtaken changes nothing", () => {
  const store = newStore();
  const hydrate = (told: ThreadRecords) => store.dispatch(hydrateFromLedger({ records: told, askedAt: 0 }));
  hydrate({ ...records, asOf: "e-20" });
  hydrate({ ...records, runs: [], asOf: "e-10" });
  expect(selectSubagents(store.getState(), THREAD).length).toBeGreaterThan(5);
  hydrate({ ...records, runs: [], asOf: "another-1" });
  expect(selectSubagents(store.getState(), THREAD)).toEqual([]);
});
