import fc from "fast-check";
import { expect, test } from "vitest";
import { madeEvent } from "../../../tests/records/made.ts";
import type { RunEvent } from "../wire/records.ts";
import { Loading, type ReadEvents } from "./loading.ts";
import { EventStore } from "./store.ts";

const settle = async () => {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
};

/** A server that has `length` events, of which pruning removed the first `removed`. */
function server(length: number, removed: number) {
  const events: RunEvent[] = Array.from({ length }, (_, i) => madeEvent("r1", i + 1, "log.written")).slice(
    removed,
  );
  const asked: string[] = [];
  let broken = false;
  const read: ReadEvents = async (_runId, page) => {
    if (broken) throw new Error("the server is away");
    asked.push(JSON.stringify(page));
    const items =
      page.order === "desc"
        ? events.slice(-page.limit).reverse()
        : events.filter((event) => event.seq > (page.after ?? 0)).slice(0, page.limit);
    return { items, next_seq: null };
  };
  return {
    read,
    asked,
    events,
    set broken(value: boolean) {
      broken = value;
    },
  };
}

test("all events of a run come in, the newest first, and what was removed is no hole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 3_500 }),
      fc.integer({ min: 0, max: 3_500 }),
      async (length, cut) => {
        const removed = Math.min(cut, length);
        const { read, events, asked } = server(length, removed);
        const store = new EventStore();
        let newest = 0;
        const loading = new Loading(store, read, () => () => {});
        await loading.open("r1", (position) => {
          newest = position;
        });
        expect(store.log("r1").events).toEqual(events);
        if (events.length > 0) expect(store.log("r1").holes()).toEqual([]);
        expect(newest).toBe(events.at(-1)?.position ?? 0);
        expect(asked[0]).toContain("desc");
        expect(asked.length).toBeLessThanOrEqual(3 + length / 1_000);
      },
    ),
    { numRuns: 30 },
  );
});

test("what can't be read is said and tried again, and not said any more when it was read", async () => {
  const source = server(500, 0);
  source.broken = true;
  const store = new EventStore();
  const delayed: (() => void)[] = [];
  const loading = new Loading(store, source.read, (task) => {
    delayed.push(task);
    return () => void delayed.splice(delayed.indexOf(task), 1);
  });
  await loading.open("r1", () => {});
  expect(store.log("r1").problem).toBe("the server is away");
  source.broken = false;
  delayed.pop()?.();
  await settle();
  expect(store.log("r1").problem).toBeNull();
  expect(store.log("r1").length).toBe(500);
});

test("nobody is asked for a run that nobody looks at any more", async () => {
  const source = server(5_000, 0);
  const store = new EventStore();
  const loading = new Loading(store, source.read, () => () => {});
  const opened = loading.open("r1", () => loading.close("r1"));
  await opened;
  expect(source.asked).toHaveLength(1);
});
