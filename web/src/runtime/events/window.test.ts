import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { madeEvent } from "../../../tests/records/made.ts";
import type { RunEvent } from "../wire/records.ts";
import type { ReadEvents } from "./loading.ts";
import { type EventChoice, EventWindow } from "./window.ts";

const settle = async () => {
  for (let i = 0; i < 200; i += 1) await Promise.resolve();
};

function madeEvents(from: number, to: number): RunEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    ...madeEvent("r1", from + index, (from + index) % 7 === 0 ? "tool.started" : "log.written"),
    importance: (from + index) % 10 === 0 ? 2 : 0,
  }));
}

/** A server whose run goes on; the first `removed` events were pruned. */
class Server {
  events: RunEvent[];
  asked = 0;
  isBroken = false;
  most = 0;

  constructor(length: number, removed = 0) {
    this.events = madeEvents(1, length).slice(removed);
  }

  read: ReadEvents = async (_runId, page) => {
    if (this.isBroken) throw new Error("the server is away");
    this.asked += 1;
    const { after = 0, before = Number.MAX_SAFE_INTEGER, limit, order, min_importance = 0, type } = page;
    const found = this.events.filter(
      (event) =>
        event.seq > after &&
        event.seq < before &&
        event.importance >= min_importance &&
        (type === undefined || type.includes(event.type)),
    );
    if (order === "desc") found.reverse();
    const items = found.slice(0, limit);
    return { items, next_seq: found.length > limit ? (items.at(-1)?.seq ?? null) : null };
  };

  /** So many events more happen; the stream tells of them. */
  goOn(count: number): RunEvent[] {
    const last = this.events.at(-1)?.seq ?? 0;
    const fresh = madeEvents(last + 1, last + count);
    this.events.push(...fresh);
    return fresh;
  }
}

function opened(server: Server, choice: EventChoice = {}, place: number | null = null) {
  const retries: (() => void)[] = [];
  const window = new EventWindow("r1", choice, place, server.read, (task) => {
    retries.push(task);
    return () => {};
  });
  window.open(() => {});
  return { window, retries };
}

/** Looks at rows until nothing more is read. */
async function look(window: EventWindow, from: number, to: number, follows = false): Promise<void> {
  for (let last = -1; last !== window.version; ) {
    last = window.version;
    window.look(from, to, follows);
    await settle();
  }
}

const seqs = (events: readonly RunEvent[]) => events.map((event) => event.seq);

describe("of a run with 100,000 events", () => {
  test("each row is what its seq says, wherever somebody looks, and few are held", async () => {
    const server = new Server(100_000, 250);
    const { window } = opened(server);
    await settle();
    expect(window.rows).toBe(99_750);
    for (const row of [99_700, 50_000, 0, 120, 700, 30_000, 99_749, 40]) {
      await look(window, row, row + 40);
      expect(seqs([window.at(row), window.at(Math.min(row + 39, 99_749))] as RunEvent[])).toEqual([
        row + 251,
        Math.min(row + 290, 100_000),
      ]);
      expect(window.rowOf(row + 251)).toBe(row);
      expect(window.events.length).toBeLessThanOrEqual(5_500);
    }
    expect(server.asked).toBeLessThan(60);
  });

  test("scrolling from one end to the other reads each page once and holds no more than some", async () => {
    const server = new Server(20_000);
    const { window } = opened(server);
    await settle();
    for (let row = 19_960; row >= 0; row -= 40) {
      await look(window, row, row + 40);
      expect(window.at(row)?.seq).toBe(row + 1);
      expect(window.events.length).toBeLessThanOrEqual(5_500);
    }
    expect(server.asked).toBeLessThanOrEqual(20_000 / 500 + 3);
  });

  test("what it follows is bounded, and who looks elsewhere keeps what they look at", async () => {
    const server = new Server(4_000);
    const { window } = opened(server);
    await settle();
    window.look(3_960, 4_000, true);
    for (let burst = 0; burst < 200; burst += 1) {
      window.take(server.goOn(100));
      expect(window.events.length).toBeLessThanOrEqual(5_500);
      expect(window.at(window.rows - 1)?.seq).toBe(4_000 + 100 * (burst + 1));
    }
    await look(window, 22_000, 22_040);
    const before = [window.from, window.at(22_000)?.seq];
    for (let burst = 0; burst < 100; burst += 1) window.take(server.goOn(100));
    expect([window.from, window.at(22_000)?.seq]).toEqual(before);
    expect(window.rows).toBe(34_000);
    expect(window.isAtEnd).toBe(false);
    expect(window.beyond).toBeGreaterThan(9_000);
    await look(window, 33_960, 34_000, true);
    expect(window.at(33_999)?.seq).toBe(34_000);
    expect([window.isAtEnd, window.beyond]).toEqual([true, 0]);
  });
});

test("any order, split and repetition of what the stream tells gives the rows of the ledger", async () => {
  const choices: EventChoice[] = [{}, { minImportance: 2 }, { types: ["tool.started"] }];
  const batches = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(...choices),
      batches,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      async (length, choice, sizes, chances) => {
        const server = new Server(length);
        const { window } = opened(server, choice);
        const early = server.goOn(2);
        window.take(early);
        await settle();
        window.look(0, 10, true);
        const told = sizes.flatMap((size) => server.goOn(size));
        const given = [...told, ...told, ...early]
          .map((event) => [chances.next().value, event] as const)
          .sort(([a], [b]) => a - b)
          .map(([, event]) => event);
        for (const event of given) window.take([event]);
        await look(window, Math.max(0, window.rows - 10), window.rows, true);
        const wanted = server.events.filter(
          (event) =>
            event.importance >= (choice.minImportance ?? 0) && (choice.types?.includes(event.type) ?? true),
        );
        expect(window.events).toEqual(wanted);
      },
    ),
    { numRuns: 60 },
  );
});

test("of a choice only what fits has a row, and a search that finds nothing waits to be told to go on", async () => {
  const server = new Server(30_000);
  const { window } = opened(server, { minImportance: 2 });
  await settle();
  expect(window.rows).toBe(500);
  await look(window, 0, 40);
  expect(seqs(window.events)).toEqual(Array.from({ length: 3_000 }, (_, index) => 10 * (index + 1)));
  const { window: search } = opened(server, { fits: (event) => event.seq === 4 });
  await settle();
  await look(search, 0, 40);
  expect(search.rows).toBe(0);
  expect(search.isPaused).toBe(true);
  const before = search.from;
  search.goOn();
  for (let more = 0; more < 5 && search.rows === 0; more += 1) {
    await look(search, 0, 40);
    search.goOn();
  }
  expect(before).toBeGreaterThan(10_000);
  expect(seqs(search.events)).toEqual([4]);
});

test("a link to an event begins around it", async () => {
  const { window } = opened(new Server(50_000), {}, 20_000);
  await settle();
  expect(window.at(window.rowOf(20_000))?.seq).toBe(20_000);
  expect(window.rows).toBe(50_000);
  expect(window.events.length).toBeLessThanOrEqual(1_000);
});

test("what can't be read is said and tried again, and another ledger's events are none of this one's", async () => {
  const server = new Server(10);
  server.isBroken = true;
  const { window, retries } = opened(server);
  await settle();
  expect(window.problem).toBe("the server is away");
  server.isBroken = false;
  retries.at(-1)?.();
  await settle();
  expect([window.problem, window.rows]).toEqual([null, 10]);
  server.events = madeEvents(1, 3);
  window.renew(true);
  await settle();
  expect(seqs(window.events)).toEqual([1, 2, 3]);
  window.close();
  window.take(server.goOn(1));
});

test("after a gap of the stream, what it did not tell is read", async () => {
  const server = new Server(10);
  const { window } = opened(server);
  await settle();
  server.goOn(700);
  window.take(server.goOn(1));
  for (const row of [701, 350, 0]) {
    await look(window, row, row + 10, true);
    expect(window.at(row)?.seq).toBe(row + 1);
    expect(window.at(row + 9)?.seq).toBe(row + 10);
  }
});
