import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { madeEvent, madeMessage, madeRun } from "../../../tests/records/made.ts";
import { type KnownThread, readThread } from "../chat/reading.ts";
import type { ThreadRecords } from "../chat/rehydration.ts";
import type { Message, Run, RunEvent } from "../wire/records.ts";
import { ThreadFollower } from "./useChatThread.ts";

/** A ledger with one thread, whose runs go on. */
class Ledger {
  runs: Run[] = [];
  events: Record<string, RunEvent[]> = {};
  messages: Record<string, Message[]> = {};
  asked: string[] = [];
  isAway = false;

  start(id: string): void {
    const worker = { parent_thread_id: "t", root_run_id: id, worker_thread_id: `${id}.w` };
    this.runs.push(madeRun(id, { status: "running", ...worker }));
    this.events[id] = [madeEvent(id, 1, "run.created")];
    this.messages[`${id}.w`] = [];
  }

  goOn(id: string, text: string): void {
    const events = this.events[id] as RunEvent[];
    events.push(madeEvent(id, events.length + 1, "message.appended"));
    const messages = this.messages[`${id}.w`] as Message[];
    messages.push(madeMessage(`${id}.w`, messages.length + 1, "assistant", text));
  }

  read = async (path: string): Promise<unknown> => {
    if (this.isAway) throw new Error("away");
    this.asked.push(path);
    const [place = "", search] = path.split("?");
    const query = new URLSearchParams(search);
    const [, what = "", name = ""] = /^\/(runs|threads)\/([^/]+)/.exec(place) ?? [];
    const after = Number(query.get("after") ?? 0);
    if (what === "") {
      const root = query.get("root_id");
      const items = this.runs.filter((run) => root === null || run.root_run_id === root);
      return { items, next_cursor: null, as_of: `e-${this.asked.length}` };
    }
    const all = (what === "runs" ? this.events[name] : this.messages[name]) ?? [];
    return { items: (all as { seq: number }[]).filter(({ seq }) => seq > after), next_seq: null };
  };
}

let ledger: Ledger;
let records: ThreadRecords | null;
let problems: unknown[];
let tell: (runId: string | null) => void;
let watched: [readonly string[], string | null][];
let follower: ThreadFollower;

beforeEach(() => {
  vi.useFakeTimers();
  [ledger, records, problems, watched] = [new Ledger(), null, [], []];
  ledger.start("a");
  ledger.start("b");
  ledger.goOn("a", "one");
  follower = new ThreadFollower(
    async (known: KnownThread | null) => {
      records = await readThread("t", ledger.read, known);
      return records;
    },
    (runIds, after, changed) => {
      watched.push([runIds, after]);
      tell = changed;
      return () => {};
    },
    (problem) => problems.push(problem),
  );
  follower.read();
});

afterEach(() => {
  follower.close();
  vi.useRealTimers();
});

async function settled(): Promise<string[]> {
  await vi.advanceTimersByTimeAsync(5_000);
  const { asked } = ledger;
  ledger.asked = [];
  return asked.filter((path) => /\/(events|messages)/.test(path));
}

const fresh = () => readThread("t", ledger.read);
const withoutMoment = ({ asOf: _asOf, ...rest }: ThreadRecords) => rest;

test("only what went on is read again, from where it was known, and it is as if all had been read", async () => {
  expect(await settled()).toHaveLength(4);
  ledger.goOn("b", "two");
  tell("b");
  expect(await settled()).toEqual([
    "/runs/b/events?after=1&limit=1000",
    "/threads/b.w/messages?after=0&limit=1000",
  ]);
  ledger.goOn("b", "three");
  ledger.start("c");
  tell("c");
  tell("b");
  expect(await settled()).toHaveLength(4);
  expect(withoutMoment(records as ThreadRecords)).toEqual(withoutMoment(await fresh()));
});

test("runs are followed from the moment at which they were read, again when there are new ones", async () => {
  await settled();
  expect(watched).toEqual([[["a", "b"], "e-1"]]);
  ledger.goOn("a", "two");
  tell("a");
  await settled();
  expect(watched).toHaveLength(1);
  ledger.start("c");
  tell("c");
  await settled();
  expect(watched).toHaveLength(2);
  expect(watched[1]?.[0]).toEqual(["a", "b", "c"]);
});

test("what went on while it could not be read is read when it can be", async () => {
  await settled();
  ledger.isAway = true;
  ledger.goOn("a", "two");
  tell("a");
  await vi.advanceTimersByTimeAsync(4_000);
  expect(problems.at(-1)).toEqual(new Error("away"));
  ledger.isAway = false;
  await settled();
  expect(problems.at(-1)).toBeNull();
  expect(records?.events.a).toHaveLength(3);
});

test("after a gap nothing of before is taken over", async () => {
  await settled();
  ledger.events.a = [madeEvent("a", 7, "run.pruned")];
  tell(null);
  expect(await settled()).toHaveLength(4);
  expect(records?.events.a).toEqual([madeEvent("a", 7, "run.pruned")]);
});
