import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { madeEvent } from "../../../tests/records/made.ts";
import type { RunEvent } from "../wire/records.ts";
import { RunLog } from "./log.ts";
import { Notices, type Schedule } from "./notices.ts";
import { EventStore } from "./store.ts";

const history = Array.from({ length: 30 }, (_, index) =>
  madeEvent("r1", index + 1, "log.written", { index }),
);

/** Batches of the history: any order, any overlap, together all of it. */
const batches = fc
  .array(fc.subarray(history), { maxLength: 6 })
  .chain((some) =>
    fc.shuffledSubarray([...some.flat(), ...history], { minLength: some.flat().length + history.length }),
  )
  .chain((all) =>
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }).map((sizes) => {
      const cut: RunEvent[][] = [];
      let at = 0;
      for (let i = 0; at < all.length; i += 1) {
        const size = sizes[i % sizes.length] ?? 1;
        cut.push(all.slice(at, at + size));
        at += size;
      }
      return cut;
    }),
  );

test("any split, order and repetition of batches gives the same log", () => {
  fc.assert(
    fc.property(batches, (given) => {
      const store = new EventStore();
      for (const batch of given) store.add(batch, true);
      expect(store.log("r1").events).toEqual(history);
      expect(store.log("r1").holes()).toEqual([]);
    }),
  );
});

test("holes are exactly the seqs that are not known", () => {
  fc.assert(
    fc.property(fc.subarray(history), fc.integer({ min: 0, max: 40 }), (known, end) => {
      const log = new RunLog("r1");
      log.add(known);
      log.bound(0, end);
      const missing = log
        .holes()
        .flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
      const there = new Set(known.map((event) => event.seq));
      const last = Math.max(end, ...there, 0);
      const expected = Array.from({ length: last }, (_, i) => i + 1).filter((seq) => !there.has(seq));
      expect(missing).toEqual(expected);
    }),
  );
});

test("of runs that nobody looks at any more those that were left last are kept, and none of them grows", () => {
  const store = new EventStore();
  const ids = Array.from({ length: 10 }, (_, index) => `run-${index}`);
  for (const id of ids) {
    store.keep(id);
    store.add([madeEvent(id, 1, "run.created")], true);
    store.leave(id);
  }
  expect(ids.filter((id) => store.has(id))).toEqual(ids.slice(-4));
  store.keep("run-9");
  for (const id of ids) store.add([madeEvent(id, 2, "log.written")]);
  expect(ids.filter((id) => store.has(id) && store.log(id).length > 1)).toEqual(["run-9"]);
});

test("what pruning removed is no hole", () => {
  const log = new RunLog("r1");
  log.add(history.slice(20));
  expect(log.holes()).toEqual([{ from: 1, to: 20 }]);
  log.bound(20);
  expect(log.holes()).toEqual([]);
});

test("a reader who folds along is told when something came before what it has read", () => {
  const log = new RunLog("r1");
  log.add(history.slice(5, 10));
  log.add(history.slice(10));
  expect(log.rewrites).toBe(0);
  log.add(history.slice(0, 5));
  expect(log.rewrites).toBe(1);
});

test("events of runs that nobody has asked for are not kept", () => {
  const store = new EventStore();
  store.add(history);
  expect(store.has("r1")).toBe(false);
});

test("another epoch empties the logs and tells who looks at them", async () => {
  const store = new EventStore();
  store.add(history, true);
  const before = store.log("r1").version;
  let told = 0;
  store.subscribe("r1", () => {
    told += 1;
  });
  store.reset();
  await Promise.resolve();
  expect(store.log("r1").length).toBe(0);
  expect(store.log("r1").version).not.toBe(before);
  expect(told).toBe(1);
});

describe("notices", () => {
  /** A clock that stands still until it is moved. */
  function manual(): Schedule & { move(ms: number): void } {
    let now = 0;
    const tasks: { at: number; task: () => void }[] = [];
    return {
      now: () => now,
      soon: (task) => tasks.push({ at: now, task }),
      later: (task, ms) => tasks.push({ at: now + ms, task }),
      move(ms) {
        now += ms;
        for (const due of tasks.splice(0).sort((a, b) => a.at - b.at)) {
          if (due.at <= now) due.task();
          else tasks.push(due);
        }
      },
    };
  }

  test("a burst is told once soon, and then at most twenty times a second", () => {
    const clock = manual();
    const notices = new Notices(clock);
    let told = 0;
    notices.subscribe("r1", () => {
      told += 1;
    });
    for (let i = 0; i < 100; i += 1) notices.tell("r1");
    clock.move(0);
    expect(told).toBe(1);
    for (let i = 0; i < 1_000; i += 1) {
      notices.tell("r1");
      clock.move(1);
    }
    expect(told).toBeLessThanOrEqual(1 + Math.ceil(1_000 / 50));
    clock.move(50);
    const after = told;
    clock.move(100);
    expect(told).toBe(after);
  });

  test("the last change of a burst is told", () => {
    const clock = manual();
    const notices = new Notices(clock);
    const seen: number[] = [];
    let value = 0;
    notices.subscribe("r1", () => seen.push(value));
    for (value = 1; value <= 5; value += 1) notices.tell("r1");
    value = 5;
    clock.move(0);
    value = 6;
    notices.tell("r1");
    clock.move(50);
    expect(seen).toEqual([5, 6]);
  });
});
