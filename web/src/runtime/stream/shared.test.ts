import fc from "fast-check";
import { expect, test } from "vitest";
import { madeEvent } from "../../../tests/records/made.ts";
import { parseCursor } from "../wire/cursors.ts";
import type { Frame } from "./frames.ts";
import { type Meeting, type Note, SharedStream, type Source } from "./shared.ts";

/** A server's stream and a browser's pages, without any time: each step is done when it returns. */
class Browser {
  pages = new Map<string, { stream: SharedStream; seen: Set<number>; hear: (note: Note) => void }>();
  waiting: { lead: () => void; lost: (error: Error) => void }[] = [];
  holder: { lost: (error: Error) => void } | null = null;
  open = new Map<object, { onFrame: (frame: Frame) => void; topics: readonly string[]; at: number }>();
  events: { run: string }[] = [];
  delays: (() => void)[] = [];

  meeting(page: string): Meeting {
    return {
      post: (note) => {
        for (const [other, { hear }] of this.pages) if (other !== page) hear(structuredClone(note));
      },
      listen: (listener) => {
        const known = this.pages.get(page);
        if (known) known.hear = listener;
        return () => this.pages.delete(page);
      },
      lead: (done, lead, steal) =>
        new Promise((resolve, reject) => {
          const entry = { lead, lost: reject };
          void done.then(() => {
            this.waiting = this.waiting.filter((one) => one !== entry);
            if (this.holder === entry) {
              this.holder = null;
              this.next();
            }
            resolve();
          });
          if (steal) {
            this.holder?.lost(new Error("stolen"));
            this.holder = null;
            this.waiting.unshift(entry);
          } else this.waiting.push(entry);
          this.next();
        }),
      delay: (task) => {
        this.delays.push(task);
        return () => void this.delays.splice(this.delays.indexOf(task), 1);
      },
    };
  }

  next(): void {
    if (this.holder !== null) return;
    const next = this.waiting.shift();
    if (next === undefined) return;
    this.holder = next;
    next.lead();
  }

  load(page: string): SharedStream {
    const seen = new Set<number>();
    const stream = new SharedStream(
      page,
      this.meeting(page),
      (onFrame) => this.source(onFrame),
      (frame) => {
        if (frame.kind === "events") for (const event of frame.events) seen.add(event.position);
      },
      () => {},
    );
    this.pages.set(page, { stream, seen, hear: () => {} });
    stream.start();
    return stream;
  }

  source(onFrame: (frame: Frame) => void): Source {
    const key = {};
    return {
      follow: (topics, after) => {
        const asked = after === null ? undefined : parseCursor(after)?.position;
        const at = Math.min(
          this.open.get(key)?.at ?? asked ?? this.events.length,
          asked ?? Number.POSITIVE_INFINITY,
        );
        this.open.set(key, { onFrame, topics, at });
        this.replay();
      },
      retry: () => {},
      close: () => void this.open.delete(key),
    };
  }

  append(run: string): void {
    this.events.push({ run });
    this.replay();
  }

  replay(): void {
    for (const stream of this.open.values()) {
      while (stream.at < this.events.length) {
        stream.at += 1;
        const run = this.events[stream.at - 1]?.run ?? "";
        if (!stream.topics.includes(`run:${run}`)) continue;
        const position = stream.at;
        const event = { ...madeEvent(run, position, "log.written"), position };
        stream.onFrame({ kind: "events", events: [event], cursor: `e-${position}` });
      }
    }
  }
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

test("three pages have one stream between them, for the topics of all", async () => {
  const browser = new Browser();
  for (const page of ["a", "b", "c"]) browser.load(page).want([`run:${page}`], "e-0");
  await settle();
  expect(browser.open.size).toBe(1);
  expect([...browser.open.values()][0]?.topics).toEqual(["run:a", "run:b", "run:c"]);
  browser.append("c");
  expect(browser.pages.get("c")?.seen).toEqual(new Set([1]));
});

test("no page misses an event of its run, whichever pages come and go meanwhile", async () => {
  const step = fc.oneof(
    fc.constant({ do: "append" } as const),
    fc.record({ do: fc.constant("leave" as const), page: fc.constantFrom("a", "b") }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const browser = new Browser();
      for (const page of ["a", "b", "c"]) browser.load(page).want(["run:r1"], "e-0");
      await settle();
      for (const one of steps) {
        if (one.do === "append") browser.append("r1");
        else {
          browser.pages.get(one.page)?.stream.stop();
          await settle();
        }
      }
      const all = new Set(browser.events.map((_, index) => index + 1));
      expect(browser.pages.get("c")?.seen).toEqual(all);
      expect(browser.open.size).toBe(1);
    }),
    { numRuns: 60 },
  );
});

test("a page that asks for an earlier place than the leader's gets what is between", async () => {
  const browser = new Browser();
  browser.load("a").want(["run:r1"], "e-0");
  for (let i = 0; i < 3; i += 1) browser.append("r2");
  browser.append("r1");
  browser.load("b").want(["run:r2"], "e-1");
  await settle();
  expect([...(browser.pages.get("b")?.seen ?? [])].sort()).toContain(2);
  expect(browser.pages.get("b")?.seen).toContain(3);
});

test("the lead is taken from a page that is silent, and only one stream is open then", async () => {
  const browser = new Browser();
  browser.load("a").want(["run:r1"], "e-0");
  browser.load("b").want(["run:r1"], "e-0");
  await settle();
  const frozen = browser.pages.get("a");
  if (frozen) frozen.hear = () => {};
  browser.pages.get("b")?.stream.retry();
  browser.delays.pop()?.();
  await settle();
  expect(browser.pages.get("b")?.stream.leads).toBe(true);
  expect(frozen?.stream.leads).toBe(false);
  expect(browser.open.size).toBe(1);
  browser.append("r1");
  expect(browser.pages.get("b")?.seen).toEqual(new Set([1]));
});
