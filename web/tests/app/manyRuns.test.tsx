/** Saved views, and one order for many runs. */
import { screen, waitFor, within } from "@testing-library/react";
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
    ...Object.fromEntries(
      runs.map((run) => [`POST /runs/${run.id}/commands`, { id: "c", status: "requested" }]),
    ),
    ...more,
  };
}

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(700);
  vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(1200);
});

test("an order for all that is shown says how many it is for, and is given once to each top of a tree", async () => {
  const { sent } = renderAt("/runs", answersWith(RUNS));
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.selectOptions(screen.getByLabelText("Do with all runs shown"), "stop");
  const dialog = await screen.findByRole("dialog", { name: "Stop 2 runs?" });
  expect(dialog.textContent).toContain("Of 4 runs");
  expect(sent).toHaveLength(0);
  await userEvent.click(within(dialog).getByRole("button", { name: "Stop 2 runs" }));
  await waitFor(() => expect(screen.getByText(/2 of 2/)).toBeTruthy());
  expect(sent.map((request) => new URL(request.url).pathname)).toEqual([
    "/api/v1/runs/live-1/commands",
    "/api/v1/runs/live-2/commands",
  ]);
  expect(sent.every((request) => request.headers.get("idempotency-key"))).toBe(true);
});

test("a refusal is counted, and the others go on", async () => {
  const refusal = Response.json({ code: "invalid", detail: "it has ended", status: 409 }, { status: 409 });
  renderAt("/runs", answersWith(RUNS, { "POST /runs/live-1/commands": refusal }));
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.click(screen.getByLabelText("Mark One"));
  await userEvent.click(screen.getByLabelText("Mark Two"));
  await userEvent.selectOptions(screen.getByLabelText("Do with the marked runs"), "stop");
  await userEvent.click(await screen.findByRole("button", { name: "Stop 2 runs" }));
  await waitFor(() => expect(screen.getByText(/2 of 2, 1 refused/)).toBeTruthy());
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
