/** A timeline that goes on: pages are read once, and then what changed alone. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import type { TimelineRow } from "../../src/runtime/index.ts";
import { madeRun, timeAt } from "../records/made.ts";
import { type Answers, renderAt } from "../records/served.tsx";

function row(id: string, more: Partial<TimelineRow> = {}): TimelineRow {
  const start = timeAt(more.depth ?? 0);
  const span = { kind: "attempt", start, end: null, attempt: 1, outcome: null, reason: null };
  return {
    run_id: id,
    parent_run_id: id === "top" ? null : "top",
    depth: id === "top" ? 0 : 1,
    kind: "subagent",
    agent_id: "a",
    title: id,
    phase: null,
    status: "running",
    superseded: false,
    start,
    end: null,
    spans: [span],
    activity: [],
    children: 0,
    critical: id === "top",
    partial: false,
    ...more,
  };
}

const page = (
  as_of: string,
  items: TimelineRow[],
  critical: string[],
  next_cursor: string | null = null,
) => ({
  run_id: "top",
  start: timeAt(0),
  end: null,
  items,
  next_cursor,
  as_of,
  critical,
});

test("changes replace rows and add new ones, and what the end waits for is as the server says now", async () => {
  const first = [row("top", { children: 2 }), row("one", { critical: true }), row("two")];
  const ended = row("one", { status: "completed", end: timeAt(9) });
  const answers: Answers = {
    "/runs/top": madeRun("top", { status: "running", title: "top", completed_at: null }),
    "/runs/top/timeline?limit=500": page("e-5", first, ["top", "one"]),
    "/runs/top/timeline?limit=1000&since=e-5": page("e-8", [ended], ["top", "two"], "c"),
    "/runs/top/timeline?cursor=c&limit=1000&since=e-5": page("e-9", [row("three")], ["top", "three"]),
    "/runs/top/timeline?limit=1000&since=e-8": page("e-8", [], ["top", "two"]),
  };
  const { asked } = renderAt("/runs/top?tab=timeline", answers);
  const grid = await screen.findByRole("treegrid", { name: "Timeline" });
  const shown = () =>
    within(grid)
      .getAllByRole("row")
      .slice(1)
      .map((line) => [
        line.getAttribute("data-key"),
        within(line).queryByText("critical") !== null,
        line.querySelector("[data-kind]")?.getAttribute("data-kind"),
      ]);
  await waitFor(() =>
    expect(shown()).toEqual([
      ["top", false, "running"],
      ["one", false, "completed"],
      ["two", true, "running"],
      ["three", false, "running"],
    ]),
  );
  // The next time it asks as of the first of the pages that it was told.
  await waitFor(() => expect(asked.some((one) => one.endsWith("since=e-8"))).toBe(true));
  expect(asked.filter((one) => one.endsWith("/timeline?limit=500"))).toHaveLength(1);
  expect(asked.filter((one) => one.includes("/events"))).toEqual([]);
});
