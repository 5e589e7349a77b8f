/** Saved views, and one order for many runs. */
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import type { Run } from "../../src/runtime/index.ts";
import { madeRun } from "../records/made.ts";
import { type Answers, renderAt } from "../records/served.tsx";

const RUNS = [
  madeRun("live-1", { status: "running", title: "One" }),
  madeRun("live-2", { status: "running", title: "Two" }),
  madeRun("below", { status: "running", title: "Below", parent_run_id: "live-1", depth: 1 }),
  madeRun("done", { status: "completed", title: "Done" }),
];

function answersWith(runs: readonly Run[], more: Answers = {}): Answers {
  return {
    "/runs": { items: runs, next_cursor: null, as_of: "e-9" },
    "/views": { items: [] },
    ...more,
  };
}

beforeEach(() => {
  localStorage.clear();
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(700);
  vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(1200);
});

const BULK = {
  id: "b1",
  verb: "stop",
  requested_by: "browser",
  requested_at: "2026-01-05T10:00:00Z",
  total: 2,
  given: 0,
  refused: 0,
  left_out: 0,
  refusals: [],
  cancelled: false,
  ended_at: null as string | null,
};

test("an order for all that is shown says how many it is for, and is one order for the tops of trees", async () => {
  const { sent } = renderAt("/runs", answersWith(RUNS, { "POST /bulks": BULK }));
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.selectOptions(screen.getByLabelText("Do with all runs shown"), "stop");
  const dialog = await screen.findByRole("dialog", { name: "Stop 2 runs?" });
  expect(dialog.textContent).toContain("Of 4 runs");
  expect(sent).toHaveLength(0);
  await userEvent.click(within(dialog).getByRole("button", { name: "Stop 2 runs" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(sent).toHaveLength(1);
  expect(await sent[0]?.json()).toEqual({ verb: "stop", run_ids: ["live-1", "live-2"] });
  expect(sent[0]?.headers.get("idempotency-key")).toBeTruthy();
});

test("an order that did not arrive is sent again as the same one", async () => {
  const refusal = Response.json({ code: "busy", detail: "the store is busy", status: 503 }, { status: 503 });
  const { sent } = renderAt("/runs", answersWith(RUNS, { "POST /bulks": refusal }));
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.click(screen.getByLabelText("Mark One"));
  await userEvent.selectOptions(screen.getByLabelText("Do with the marked runs"), "stop");
  const button = await screen.findByRole("button", { name: "Stop 1 run" });
  await userEvent.click(button);
  await screen.findByText(/the store is busy/);
  await userEvent.click(button);
  await waitFor(() => expect(sent).toHaveLength(2));
  const keys = sent.map((request) => request.headers.get("idempotency-key"));
  expect(keys[0]).toBe(keys[1]);
});

test("how far an order came is told on every screen, with who refused it, and it is cancelled there", async () => {
  const bulk = {
    ...BULK,
    total: 40,
    given: 12,
    refused: 1,
    refusals: [{ run_id: "done", reason: "run done is completed already" }],
  };
  const { sent } = renderAt("/threads", {
    "/threads": { items: [], next_cursor: null, as_of: "e-1" },
    "/bulks": { items: [bulk], as_of: "e-1" },
    "POST /bulks/b1/cancel": { ...bulk, cancelled: true, left_out: 27, ended_at: new Date().toISOString() },
  });
  const told = within(await screen.findByRole("region", { name: "Orders for many runs" }));
  expect(told.getByRole("status").textContent).toBe("12 of 40 runs have the order, 1 refused it");
  expect(told.getByRole("link", { name: "done" }).closest("li")?.textContent).toContain("completed already");
  await userEvent.click(told.getByRole("button", { name: "Cancel the rest" }));
  await waitFor(() =>
    expect(sent.map((one) => new URL(one.url).pathname)).toEqual(["/api/v1/bulks/b1/cancel"]),
  );
});

test("what became of an order stays until somebody has read it, over a reload", async () => {
  const ended = { ...BULK, given: 2, ended_at: new Date().toISOString() };
  const answers = { ...answersWith(RUNS), "/bulks": { items: [ended], as_of: "e-1" } };
  renderAt("/runs", answers);
  await screen.findByText("2 of 2 runs have the order");
  cleanup();
  renderAt("/runs", answers);
  await screen.findByText("2 of 2 runs have the order");
  await userEvent.click(screen.getByRole("button", { name: "Dismiss: stop" }));
  expect(screen.queryByText("2 of 2 runs have the order")).toBeNull();
  cleanup();
  renderAt("/runs", answers);
  await screen.findByRole("grid", { name: "Runs" });
  expect(screen.queryByText("2 of 2 runs have the order")).toBeNull();
});

test("the default view is shown to who comes without a wish, and not to who follows a link", async () => {
  const view = {
    id: "v1",
    name: "Team web",
    filters: { labels: { team: ["web"] }, bucket: ["failed"] },
    sort: "cost",
    order: "desc",
    grouping: null,
    default: true,
    revision: 1,
  };
  renderAt("/runs", answersWith(RUNS, { "/views": { items: [view] } }));
  await waitFor(() => expect(window.location.search).toContain("bucket=failed"));
  expect(window.location.search).toContain("label=team%3Dweb");
  expect(window.location.search).toContain("sort=cost");
  const chosen = await screen.findByRole("button", { name: "Team web (default)" });
  expect(chosen.getAttribute("aria-pressed")).toBe("true");
});

test("a view is saved with its filters in the ledger", async () => {
  const saved = { "POST /views": { id: "v1", name: "Mine", filters: {}, sort: "updated", order: "desc" } };
  const { sent } = renderAt("/runs?status=failed&label=team%3Dweb", answersWith(RUNS, saved));
  await userEvent.click(await screen.findByRole("button", { name: "Save as a view" }));
  await userEvent.type(screen.getByLabelText("Name"), "Mine");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(await sent[0]?.json()).toMatchObject({
    name: "Mine",
    filters: { status: ["failed"], labels: { team: ["web"] } },
    default: false,
  });
});
