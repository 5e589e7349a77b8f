/** Runs of every kind of past, as the server told of them, and what the screens show of them. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import type { RunEvent } from "../../src/runtime/index.ts";
import { answersOf, renderAt, TestStream } from "../records/served.tsx";

const findHead = async () =>
  (await screen.findByRole("heading", { level: 1 })).closest("header") as HTMLElement;

/** The lines of a table or a grid, each as the texts of its cells. */
function lines(container: HTMLElement, role: "row"): string[][] {
  return within(container)
    .getAllByRole(role)
    .map((row) => [...row.children].map((cell) => cell.textContent ?? ""));
}

async function toolsOf(past: Parameters<typeof answersOf>[0]): Promise<string[][]> {
  const { id, answers } = answersOf(past);
  renderAt(`/runs/${id}`, answers);
  const table = await screen.findByRole("table");
  return lines(table, "row").slice(1);
}

describe("the head says the state, and offers what fits it", () => {
  test.each([
    ["completed", "Find the branch", "completed", []],
    ["failed", "Read the wiki", "failed", ["Retry"]],
    ["interrupted", "Build the image", "interrupted", ["Resume", "Stop"]],
    ["awaiting", "Publish", "needs input", ["Message", "Stop"]],
    ["retried", "Build", "completed", []],
    ["forked", "inspection", "pending", ["Pause", "Message", "Stop"]],
    ["late_parent", "Reported after its child", "completed", []],
    ["unknown_types", "Types of their own", "completed", []],
  ] as const)("%s", async (past, title, state, controls) => {
    const { id, answers } = answersOf(past);
    renderAt(`/runs/${id}`, answers);
    const head = within(await findHead());
    expect(head.getByRole("heading", { level: 1 }).textContent).toBe(title);
    expect(head.getByText(state)).toBeTruthy();
    const always = ["Fork", "Edit", "Pin", "Archive"];
    expect(head.queryAllByRole("button").map((button) => button.textContent)).toEqual([
      ...controls,
      ...always,
    ]);
  });
});

test("tools stand with their state, round, time and output, the newest first", async () => {
  expect(await toolsOf("completed")).toEqual([
    ["read", "completed", "2", "35 ms", "240"],
    ["grep", "completed", "2", "35 ms", "240"],
    ["read", "completed", "1", "35 ms", "120"],
    ["grep", "completed", "1", "35 ms", "120"],
  ]);
});

test("a failed run shows its error and the call that failed, as text", async () => {
  expect(await toolsOf("failed")).toEqual([
    ["fetch 404 Not Found", "failed", "1", "", ""],
    ["fetch", "completed", "1", "35 ms", "120"],
  ]);
  expect(screen.getByRole("region", { name: "Error" }).textContent).toContain("<script>alert(1)</script>");
  expect(document.querySelector("#root script, body > div script")).toBeNull();
});

test("nothing of an interrupted run looks live", async () => {
  expect(await toolsOf("interrupted")).toEqual([["build", "interrupted", "1", "", ""]]);
  expect(screen.queryByText("running")).toBeNull();
});

test("a retried run shows the calls of both attempts, and that it is the second", async () => {
  expect((await toolsOf("retried")).map((line) => line.slice(0, 2))).toEqual([
    ["build", "completed"],
    ["lint", "interrupted"],
    ["build", "interrupted"],
  ]);
  expect(within(await findHead()).getByText("attempt 2")).toBeTruthy();
});

describe("what was called stands for every past, and nothing for who called nothing", () => {
  test.each([
    ["awaiting", [["render", "completed", "1", "35 ms", "120"]]],
    ["unknown_types", [["radar", "completed", "", "", ""]]],
    ["nested", []],
    ["late_parent", []],
    ["forked", []],
  ] as const)("%s", async (past, wanted) => {
    if (wanted.length > 0) expect(await toolsOf(past)).toEqual(wanted);
    else {
      const { id, answers } = answersOf(past);
      renderAt(`/runs/${id}`, answers);
      expect(await screen.findByText("It has called no tool.")).toBeTruthy();
      expect(screen.queryByRole("table")).toBeNull();
    }
  });
});

test("a list of all pasts has a row for each, with its name, state and what it came to", async () => {
  const pasts = ["completed", "failed", "interrupted", "awaiting", "retried", "forked", "nested"] as const;
  const items = pasts.map((past) => {
    const { id, answers } = answersOf(past);
    return answers[`/runs/${id}`];
  });
  renderAt("/runs", { "/runs": { items, next_cursor: null, as_of: "e-1" } });
  const grid = await screen.findByRole("grid", { name: "Runs" });
  const cells = within(grid)
    .getAllByRole("row")
    .slice(1)
    .map((row) => [...row.querySelectorAll("[role=gridcell]")].slice(1, 4).map((cell) => cell.textContent));
  expect(cells).toEqual([
    ["Find the branchompleted", "completed", "the branch is main"],
    ["Read the wikifailed", "failed", "no such page: <script>alert(1)</script>"],
    ["Build the imageerrupted", "interrupted", expect.stringMatching(/^process \d+ is gone$/)],
    ["Publishawaiting", "needs input", "Which branch?"],
    ["Buildretriedtry 2", "completed", "built at the second try"],
    ["inspectionforkedfork", "pending", ""],
    ["Reviewnested", "completed", "nested is done"],
  ]);
});

describe("the transcript is the prose of the worker thread, in order and as text", () => {
  const round = (n: number) => `Round ${n} is done: <b>nothing</b> stood out.`;
  test.each([
    ["completed", [round(1), round(2)]],
    ["failed", [round(1)]],
    ["interrupted", ["building"]],
    ["awaiting", [round(1)]],
  ] as const)("%s", async (past, texts) => {
    const { id, answers } = answersOf(past);
    const thread = `/threads/${id}.thread`;
    answers[thread] = { id: `${id}.thread`, title: null, run_id: id, messages: texts.length };
    answers[`${thread}/messages`] = answers[`${thread}/messages?limit=1000`];
    renderAt(thread, answers);
    const messages = await screen.findByRole("region", { name: "Messages" });
    const shown = within(messages).getAllByRole("article");
    expect(shown.map((one) => one.querySelector("bdi")?.textContent)).toEqual(texts);
    expect(messages.querySelector("bdi b")).toBeNull();
    expect(screen.getByRole("link", { name: id.slice(-8) }).getAttribute("href")).toBe(`/runs/${id}`);
  });
});

test("events of unknown types and payloads of any shape are lines like others, and hostile text is text", async () => {
  const { id, answers } = answersOf("unknown_types");
  renderAt(`/runs/${id}?tab=events&level=all`, answers);
  const log = await screen.findByRole("log");
  await waitFor(() => expect(within(log).getByText("weather.observed")).toBeTruthy());
  expect(within(log).getByText("weather.predicted")).toBeTruthy();
  expect(within(log).getByText(/<img src=x onerror=alert\(1\)>/)).toBeTruthy();
  expect(document.querySelector("img")).toBeNull();
});

test("a long payload is a line with its size, and its bytes are fetched when somebody asks for them", async () => {
  const { id, answers } = answersOf("unknown_types");
  const page = answers[`/runs/${id}/events?limit=1000`] as { items: RunEvent[] };
  const long = page.items.find((event) => event.type === "weather.observed") as RunEvent;
  Object.assign(long, { payload: null, payload_ref: "b1", payload_bytes: 5_000_000 });
  answers["/blobs/b1"] = { text: "all of it" };
  const { asked } = renderAt(`/runs/${id}?tab=events&level=all`, answers);
  const log = await screen.findByRole("log");
  await userEvent.click(await within(log).findByText("a payload of 4.8 MB"));
  const detail = await screen.findByRole("complementary", { name: "Event" });
  expect(await within(detail).findByText("Payload has 4.8 MB")).toBeTruthy();
  expect(asked.filter((one) => one.includes("/blobs/"))).toEqual([]);
  await userEvent.click(within(detail).getByRole("button", { name: "Load 4.8 MB" }));
  expect(await within(detail).findByText(/all of it/)).toBeTruthy();
});

test("a run three deep is a tree with levels, in the order of creation", async () => {
  const { id, answers } = answersOf("nested");
  renderAt(`/runs/${id}?tab=tree`, answers);
  const tree = await screen.findByRole("treegrid");
  const rows = within(tree).getAllByRole("row").slice(1);
  expect(rows.map((row) => [row.getAttribute("data-key"), row.getAttribute("aria-level")])).toEqual([
    ["nested", "1"],
    ["nested-reader", "2"],
    ["nested-checker", "3"],
    ["nested-runner", "4"],
  ]);
  await userEvent.click(within(rows[1] as HTMLElement).getByRole("button", { name: "Fold" }));
  await waitFor(() => expect(within(tree).getAllByRole("row")).toHaveLength(3));
  expect(new URLSearchParams(window.location.search).getAll("folded")).toEqual(["nested-reader"]);
});

test("a child that was reported before its parent is below it", async () => {
  const { id, answers } = answersOf("late_parent");
  renderAt(`/runs/${id}?tab=tree`, answers);
  const tree = await screen.findByRole("treegrid");
  const rows = within(tree).getAllByRole("row").slice(1);
  expect(rows.map((row) => [row.getAttribute("data-key"), row.getAttribute("aria-level")])).toEqual([
    ["late", "1"],
    ["late-child", "2"],
  ]);
});

test("a fork says what it is of", async () => {
  const { id, answers } = answersOf("forked");
  renderAt(`/runs/${id}`, answers);
  const link = within(await findHead()).getByRole("link", { name: "workflow" });
  expect(link.getAttribute("href")).toBe("/runs/workflow");
});

test("a question is answered by its number, once, and shows who was first if somebody was", async () => {
  const { id, answers } = answersOf("awaiting");
  const { items } = answers[`/runs/${id}/inputs`] as { items: Record<string, unknown>[] };
  const first = { ...items[0], status: "answered", response: "dev", answered_by: "ana" };
  const refusal = { code: "already_answered", status: 409, detail: "ana has answered it", input: first };
  answers[`POST /inputs/${items[0]?.id}/answer`] = Response.json(refusal, { status: 409 });
  const { sent } = renderAt(`/runs/${id}`, answers);
  const question = await screen.findByRole("article", { name: "Question" });
  expect(question.textContent).toContain("Which branch?");
  within(question).getByRole("button", { name: /main/ }).focus();
  await userEvent.keyboard("1");
  await waitFor(() => expect(screen.getByText(/Somebody else was first/)).toBeTruthy());
  expect(screen.getByText("dev")).toBeTruthy();
  expect(await sent[0]?.json()).toEqual({ response: "main" });
  expect(sent[0]?.headers.get("idempotency-key")).toMatch(/^answer-/);
});

test("what happens shows up by the stream, and a screen is few requests beside the shell's", async () => {
  const { id, answers } = answersOf("interrupted");
  const { asked } = renderAt(`/runs/${id}?tab=events&level=all`, answers);
  const log = await screen.findByRole("log");
  await waitFor(() => expect(within(log).getByText("run.interrupted")).toBeTruthy());
  expect(asked.filter((one) => one !== "GET /runs/counts" && one !== "GET /bulks")).toHaveLength(3);
  const page = answers[`/runs/${id}/events?limit=1000`] as { items: RunEvent[] };
  const last = page.items.at(-1) as RunEvent;
  const more = [1, 2, 3].map((step) => ({
    ...last,
    seq: last.seq + step,
    position: last.position + step,
    type: `news.came${step}`,
  }));
  await waitFor(() => expect(TestStream.open.some(({ url }) => url.includes(`run%3A${id}`))).toBe(true));
  TestStream.tell(...(more.reverse() as RunEvent[]), ...(more as RunEvent[]));
  await waitFor(() => expect(within(log).getByText("news.came3")).toBeTruthy());
  const seqs = within(log)
    .getAllByRole("button")
    .map((row) => Number(row.firstChild?.textContent));
  expect(seqs).toEqual(Array.from({ length: last.seq + 3 }, (_, index) => index + 1));
});

test("a run that there is not says what to do", async () => {
  const hint = "list them: runstone runs list";
  const missing = { code: "not_found", status: 404, detail: "there is no run nothing", hint };
  renderAt("/runs/nothing", { "/runs/nothing": Response.json(missing, { status: 404 }) });
  expect((await screen.findByRole("alert")).textContent).toBe(
    "there is no run nothinglist them: runstone runs list",
  );
});

test("the connection is always told", async () => {
  renderAt("/", {});
  await waitFor(() => expect(screen.getByText("Live")).toBeTruthy());
});
