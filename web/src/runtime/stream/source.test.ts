import { expect, test } from "vitest";
import type { Frame } from "./frames.ts";
import { type Connection, type EventSourceLike, StreamSource, type Surroundings } from "./source.ts";

class FakeStream implements EventSourceLike {
  closed = false;
  #listeners = new Map<string, ((event: MessageEvent) => void)[]>();

  readonly url: URL;

  constructor(url: URL) {
    this.url = url;
  }

  addEventListener(name: string, listener: (event: MessageEvent) => void): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  close(): void {
    this.closed = true;
  }

  fire(name: string, id = "", data = ""): void {
    for (const listener of this.#listeners.get(name) ?? [])
      listener(new MessageEvent(name, { lastEventId: id, data }));
  }
}

function world() {
  const streams: FakeStream[] = [];
  const delays: { task: () => void; ms: number }[] = [];
  const frames: Frame[] = [];
  const told: Connection[] = [];
  const answers = { status: 0 };
  const around: Surroundings = {
    open(url) {
      const stream = new FakeStream(new URL(url, "http://server"));
      streams.push(stream);
      return stream;
    },
    probe: async () => answers.status,
    now: () => 1_000,
    delay(task, ms) {
      const entry = { task, ms };
      delays.push(entry);
      return () => void delays.splice(delays.indexOf(entry), 1);
    },
    random: () => 1,
  };
  const source = new StreamSource(
    "/api/v1/stream",
    around,
    (f) => frames.push(f),
    (c) => told.push(c),
  );
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  const newest = () => streams.at(-1) as FakeStream;
  return { source, streams, delays, frames, told, answers, settle, newest };
}

const event = (seq: number) =>
  JSON.stringify({ run_id: "r1", seq, position: seq, type: "log.written", payload: {}, attempt: 1 });

test("a broken stream is opened again with the last cursor that was seen", async () => {
  const { source, delays, frames, told, settle, newest } = world();
  source.follow(["runs", "run:r1"], "e-3");
  expect(newest().url.searchParams.get("topics")).toBe("runs,run:r1");
  expect(newest().url.searchParams.get("after")).toBe("e-3");
  newest().fire("open");
  newest().fire("message", "e-4", event(4));
  const broken = newest();
  broken.fire("error");
  await settle();
  expect(broken.closed).toBe(true);
  expect(told.map((one) => one.phase)).toEqual(["connecting", "live", "reconnecting"]);
  delays.pop()?.task();
  expect(newest().url.searchParams.get("after")).toBe("e-4");
  broken.fire("message", "e-9", event(9));
  newest().fire("open");
  newest().fire("message", "e-5", event(5));
  expect(frames.map((frame) => frame.cursor)).toEqual(["e-4", "e-5"]);
  expect(source.connection.phase).toBe("live");
});

test("a server that is gone is asked less and less often, and one that lets nobody in is told apart", async () => {
  const { source, delays, answers, settle, newest } = world();
  source.follow(["runs"], null);
  const waits: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    newest().fire("error");
    await settle();
    const delay = delays.pop();
    waits.push(delay?.ms ?? 0);
    delay?.task();
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
  answers.status = 401;
  newest().fire("error");
  await settle();
  expect(source.connection.phase).toBe("signed_out");
  source.retry();
  newest().fire("open");
  expect(source.connection).toEqual({ phase: "live", since: 1_000, failures: 0 });
});

test("a foreign cursor is replaced by the one of the reset, and a gap is passed on", () => {
  const { source, frames, newest } = world();
  source.follow(["runs"], "old-9");
  newest().fire("reset", "new-0", JSON.stringify({ reason: "restored" }));
  newest().fire("gap", "new-7", JSON.stringify({ after: 2, removed_up_to: 7 }));
  expect(frames).toEqual([
    { kind: "reset", reason: "restored", cursor: "new-0" },
    { kind: "gap", after: 2, removedUpTo: 7, cursor: "new-7" },
  ]);
  expect(source.cursor).toBe("new-7");
});

test("a wish for an earlier place goes back, one for a later place doesn't skip", () => {
  const { source, newest } = world();
  source.follow(["runs"], "e-10");
  source.follow(["runs", "run:r1"], "e-4");
  expect(newest().url.searchParams.get("after")).toBe("e-4");
  source.follow(["runs", "run:r1", "run:r2"], "e-20");
  expect(newest().url.searchParams.get("after")).toBe("e-4");
});

test("what can't be read moves the cursor only", () => {
  const { source, frames, newest } = world();
  source.follow(["runs"], null);
  newest().fire("message", "e-1", "");
  newest().fire("message", "e-2", "{broken");
  newest().fire("message", "e-3", JSON.stringify([{ nothing: true }]));
  expect(frames.map((frame) => frame.kind)).toEqual(["cursor", "cursor", "cursor"]);
  expect(source.cursor).toBe("e-3");
});
