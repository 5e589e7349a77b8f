/** The app over recorded answers: no server, and nothing of the app is replaced. */
import { render } from "@testing-library/react";
import { vi } from "vitest";
import { App } from "../../src/app/App.tsx";
import type { RunEvent } from "../../src/runtime/index.ts";
import recorded from "../fixtures/runs.json";

export type Answers = Record<string, unknown>;

type Past = keyof typeof recorded;

/** What the API answered about that past of a run, by path. */
export function answersOf(past: Past): { id: string; answers: Answers } {
  return structuredClone(recorded[past]) as { id: string; answers: Answers };
}

/** That something was seen is said by the page itself: it is no part of what a person sent. */
const MARK = "/viewers/me/seen";

const EMPTY: Answers = {
  "/runs/counts": {
    counts: { needs_input: 0, working: 0, completed: 0, failed: 0, stopped: 0 },
    as_of: "e-1",
  },
  "/runs": { items: [], next_cursor: null, as_of: "e-1" },
  "/inputs": { items: [], next_cursor: null, as_of: "e-1" },
  "/home": {
    sections: ["needs_input", "failed", "stopped", "working", "completed"].map((bucket) => ({
      bucket,
      total: 0,
      items: [],
    })),
    inputs: [],
    below: {},
    above: {},
    as_of: "e-1",
  },
  "/bulks": { items: [], as_of: "e-1" },
  [MARK]: { viewer: "browser", seen: { viewer: "browser", cursor: "e-1", at: "2026-01-05T10:00:00Z" } },
};

/** A stream that a test speaks through. */
export class TestStream extends EventTarget {
  static open: TestStream[] = [];
  readonly url: string;

  constructor(url: string) {
    super();
    this.url = url;
    TestStream.open.push(this);
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }

  close(): void {
    TestStream.open = TestStream.open.filter((one) => one !== this);
  }

  static tell(...events: RunEvent[]): void {
    for (const event of events)
      for (const stream of TestStream.open)
        stream.dispatchEvent(
          new MessageEvent("message", { data: JSON.stringify(event), lastEventId: `e-${event.position}` }),
        );
  }
}

/** Renders the app at an address; gives the requests that it made, as `METHOD path`. */
export function renderAt(address: string, answers: Answers): { asked: string[]; sent: Request[] } {
  const asked: string[] = [];
  const sent: Request[] = [];
  TestStream.open = [];
  vi.stubGlobal("EventSource", TestStream);
  vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
    const request = typeof input === "string" ? new Request(input, init) : input;
    const { pathname, search } = new URL(request.url);
    const path = pathname.replace("/api/v1", "");
    asked.push(`${request.method} ${path}${search}`);
    if (request.method !== "GET" && path !== MARK) sent.push(request.clone());
    const events = /^\/runs\/[^/]+\/events$/.test(path);
    const found =
      answers[`${request.method} ${path}`] ?? (events ? eventsOf(answers, path, search) : undefined);
    const answer = found ?? answers[`${path}${search}`] ?? answers[path] ?? EMPTY[path];
    if (answer instanceof Response) return answer.clone();
    if (answer !== undefined) return Response.json(answer);
    return Response.json(
      { code: "not_found", detail: `there is nothing at ${path}`, status: 404 },
      { status: 404 },
    );
  });
  window.history.replaceState(null, "", address);
  render(<App />);
  return { asked, sent };
}

/** A page of the recorded events, as the server cuts it. */
function eventsOf(answers: Answers, path: string, search: string): unknown {
  const page = answers[`${path}?limit=1000`] as { items: RunEvent[]; next_seq: number | null } | undefined;
  if (page === undefined) return undefined;
  const query = new URLSearchParams(search);
  const limit = Number(query.get("limit") ?? 100);
  const items =
    query.get("order") === "desc"
      ? page.items.slice(-limit).reverse()
      : page.items.filter((event) => event.seq > Number(query.get("after") ?? 0)).slice(0, limit);
  return { ...page, items };
}
