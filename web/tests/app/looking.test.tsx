/** What a person looks at first, and the list of runs in groups: from what the server said, and kept in the address. */
import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Run } from "../../src/runtime/index.ts";
import { madeRun, timeAt } from "../records/made.ts";
import { type Answers, renderAt } from "../records/served.tsx";

const ORDER = ["needs_input", "failed", "stopped", "working", "completed"];
const MARK = "PUT /viewers/me/seen";

beforeEach(() => {
  localStorage.clear();
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(700);
  vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(1200);
});

function home(sections: Record<string, Run[]>, more: object = {}): Answers {
  return {
    "/home": {
      sections: ORDER.map((bucket) => ({
        bucket,
        total: sections[bucket]?.length ?? 0,
        items: sections[bucket] ?? [],
      })),
      inputs: [],
      below: {},
      above: {},
      as_of: "e-7",
      ...more,
    },
  };
}

const seen = (before: string | null) => ({
  [MARK]: {
    viewer: "browser",
    seen: { viewer: "browser", cursor: "e-7", at: timeAt(99), before_at: before },
  },
});

const top = (id: string, more: Partial<Run> = {}) => madeRun(id, { title: id, ...more });

describe("home", () => {
  test("sections stand in the order in which people ask, each run with what is below it", async () => {
    renderAt(
      "/",
      home(
        {
          completed: [top("done")],
          failed: [top("broken", { status: "failed" })],
          stopped: [top("lost", { status: "interrupted" }), top("halted", { status: "cancelled" })],
          working: [top("busy", { status: "running", completed_at: null })],
        },
        { below: { busy: { completed: 3, failed: 1 } } },
      ),
    );
    const headings = await screen.findAllByRole("heading", { level: 2 });
    expect(headings.map((one) => one.textContent)).toEqual([
      "Failed 1",
      "Stopped 2",
      "Working 1",
      "Completed 1",
    ]);
    const rows = screen.getAllByRole("listitem").map((row) => row.textContent);
    expect(rows.map((row) => /broken|lost|halted|busy|done/.exec(row ?? "")?.[0])).toEqual([
      "broken",
      "lost",
      "halted",
      "busy",
      "done",
    ]);
    expect(rows[3]).toContain("below it 1 failed, 3 completed");
  });

  test("a child that needs a person is there by itself, and says where it is", async () => {
    const child = madeRun("kid", {
      status: "awaiting_user",
      completed_at: null,
      parent_run_id: "middle",
      root_run_id: "whole",
      depth: 2,
    });
    const above = [
      { id: "whole", kind: "workflow", title: "The whole", agent_id: null, definition_id: "w" },
      { id: "middle", kind: "subagent", title: null, agent_id: "planner", definition_id: null },
    ];
    renderAt("/", home({ needs_input: [child] }, { above: { kid: above } }));
    const row = await screen.findByRole("listitem");
    expect(row.textContent).toContain("in The whole › planner");
    expect(within(row).getByRole("link", { name: "The whole" }).getAttribute("href")).toBe("/runs/whole");
  });

  test("what finished since the last visit is marked by what the ledger knows, on every screen", async () => {
    const runs = [top("old", { completed_at: timeAt(5) }), top("fresh", { completed_at: timeAt(15) })];
    const answers = { ...home({ completed: runs }), ...seen(timeAt(10)) };
    const { asked } = renderAt("/", answers);
    const [mark] = await screen.findAllByText("new");
    expect(screen.getAllByText("new")).toHaveLength(1);
    expect(mark?.closest("li")?.textContent).toContain("fresh");
    expect(asked.filter((one) => one === MARK)).toHaveLength(1);
    cleanup();
    renderAt("/runs", { ...answers, "/runs": { items: runs, next_cursor: null, as_of: "e-7" } });
    const inList = await screen.findByText("new");
    expect(inList.closest("[role=row]")?.textContent).toContain("fresh");
  });

  test("on a first visit nothing is marked", async () => {
    renderAt("/", { ...home({ completed: [top("one")] }), ...seen(null) });
    await screen.findByRole("link", { name: "one" });
    await waitFor(() => expect(screen.queryByText("new")).toBeNull());
  });

  test("without a run there is one command to type", async () => {
    renderAt("/", home({}));
    expect(await screen.findByText(/^runstone exec -- /)).toBeTruthy();
  });

  test("j and k go along the runs", async () => {
    renderAt("/", home({ completed: [top("one"), top("two")] }));
    const [one, two] = await screen.findAllByRole("link", { name: /^(one|two)$/ });
    await userEvent.keyboard("j");
    expect(document.activeElement).toBe(one);
    await userEvent.keyboard("j");
    expect(document.activeElement).toBe(two);
    await userEvent.keyboard("k");
    expect(document.activeElement).toBe(one);
  });
});

const group = (key: string, count: number) => ({
  key,
  count,
  newest_at: timeAt(9),
  updated_from: null,
  updated_to: null,
});

const page = (...runs: Run[]) => ({ items: runs, next_cursor: null, as_of: "e-7" });

describe("the list in groups", () => {
  const grouped: Answers = {
    "/views": { items: [] },
    "/runs/groups?by=agent_id": { items: [group("writer", 2), group("", 1)], complete: true, as_of: "e-7" },
    "/runs?agent_id=writer&limit=50": page(top("a"), top("b")),
    "/runs?agent_id=&limit=50": page(top("c")),
  };

  const rowsOf = (grid: HTMLElement) =>
    within(grid)
      .getAllByRole("row")
      .slice(1)
      .map((row) => `${row.getAttribute("aria-level")} ${row.getAttribute("data-key")}`);

  test("heads have the server's counts, and their runs come by the filter of each", async () => {
    renderAt("/runs?group=agent_id", grouped);
    const grid = await screen.findByRole("treegrid", { name: "Runs" });
    await waitFor(() => expect(rowsOf(grid)).toEqual(["1 group:writer", "2 a", "2 b", "1 group:", "2 c"]));
    const heads = within(grid)
      .getAllByRole("row")
      .filter((row) => row.getAttribute("aria-level") === "1");
    expect(heads.map((row) => row.textContent)).toEqual(["▾writer2", "▾no agent1"]);
    expect(heads.map((row) => row.getAttribute("aria-expanded"))).toEqual(["true", "true"]);
  });

  test("a group is folded by keys, the address keeps it, and a reload shows the same", async () => {
    renderAt("/runs?group=agent_id", grouped);
    const grid = await screen.findByRole("treegrid", { name: "Runs" });
    await waitFor(() => expect(rowsOf(grid)).toHaveLength(5));
    const head = grid.querySelector<HTMLElement>('[data-key="group:writer"]');
    head?.focus();
    fireEvent.keyDown(head as HTMLElement, { key: "ArrowLeft" });
    await waitFor(() => expect(rowsOf(grid)).toEqual(["1 group:writer", "1 group:", "2 c"]));
    expect(new URLSearchParams(window.location.search).getAll("folds")).toEqual(["group:writer"]);
    const address = `${window.location.pathname}${window.location.search}`;
    cleanup();
    renderAt(address, grouped);
    const again = await screen.findByRole("treegrid", { name: "Runs" });
    await waitFor(() => expect(rowsOf(again)).toEqual(["1 group:writer", "1 group:", "2 c"]));
  });

  test("Space on a head peeks at nothing, and Space on a run does", async () => {
    renderAt("/runs?group=agent_id", { ...grouped, "/runs/a": top("a"), "/runs/b": top("b") });
    const grid = await screen.findByRole("treegrid", { name: "Runs" });
    await waitFor(() => expect(rowsOf(grid)).toHaveLength(5));
    const rowOf = (key: string) => grid.querySelector(`[data-key="${key}"]`) as HTMLElement;
    rowOf("group:writer").focus();
    fireEvent.keyDown(rowOf("group:writer"), { key: "ArrowDown" });
    await waitFor(() => expect(rowOf("a").getAttribute("aria-selected")).toBe("true"));
    fireEvent.keyDown(rowOf("a"), { key: " " });
    await screen.findByRole("complementary", { name: "Peek" });
    expect(window.location.search).toContain("peek=a");
    fireEvent.keyDown(rowOf("a"), { key: "ArrowDown" });
    await waitFor(() => expect(window.location.search).toContain("peek=b"));
    await userEvent.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByRole("complementary", { name: "Peek" })).toBeNull());
  });

  test("a group with more runs than a page leads to them", async () => {
    const more: Answers = {
      ...grouped,
      "/runs/groups?by=agent_id": { items: [group("writer", 3)], complete: true, as_of: "e-7" },
      "/runs?agent_id=writer&limit=50": { ...page(top("a"), top("b")), next_cursor: "n" },
      "/runs?agent_id=writer&cursor=n&limit=50": page(top("c")),
    };
    renderAt("/runs?group=agent_id", more);
    await userEvent.click(await screen.findByRole("button", { name: "1 more" }));
    const grid = screen.getByRole("treegrid", { name: "Runs" });
    await waitFor(() => expect(rowsOf(grid)).toEqual(["1 group:writer", "2 a", "2 b", "2 c"]));
  });

  test("groups have the filters of the list, and a view keeps what it is grouped by", async () => {
    const saved = { "POST /views": { id: "v1", name: "Mine", filters: {}, sort: "updated", order: "desc" } };
    const { asked, sent } = renderAt("/runs?group=bucket&label=team%3Dweb&top=1", {
      ...saved,
      "/views": { items: [] },
      "/runs/groups": { items: [group("failed", 1)], complete: true, as_of: "e-7" },
      "/runs": page(top("f", { status: "failed" })),
    });
    await screen.findByRole("treegrid", { name: "Runs" });
    expect(asked).toContain("GET /runs/groups?by=bucket&depth=0&label.team=web");
    await waitFor(() => expect(asked).toContain("GET /runs?bucket=failed&depth=0&label.team=web&limit=50"));
    await userEvent.click(screen.getByRole("button", { name: "Save as a view" }));
    await userEvent.type(screen.getByLabelText("Name"), "Mine");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(await sent[0]?.json()).toMatchObject({
      grouping: "bucket",
      filters: { depth: "0", labels: { team: ["web"] } },
    });
  });
});

describe("a run that was tried again", () => {
  test("says who tried it, when, and how each attempt ended", async () => {
    const run = top("r", { status: "interrupted", attempt: 2, completed_at: null });
    const attempt = (number: number, more: object) => ({
      run_id: "r",
      number,
      owner: "o",
      identity: {},
      started_at: timeAt(number * 10),
      ended_at: null,
      outcome: null,
      reason: null,
      ...more,
    });
    renderAt("/runs/r", {
      "/runs/r": run,
      "/runs/r/inputs": { items: [] },
      "/runs/r/commands": { items: [] },
      "/runs/r/events?limit=1000": { items: [], next_seq: null },
      "/runs/r/attempts": {
        items: [
          attempt(1, { ended_at: timeAt(14), outcome: "failed", reason: "no ink" }),
          attempt(2, { ended_at: timeAt(21), outcome: "interrupted", reason: "process 7 is gone" }),
        ],
      },
    });
    const list = within(await screen.findByRole("region", { name: "Attempts" }));
    const lines = list.getAllByRole("listitem").map((line) => line.textContent?.split(" began")[0]);
    expect(lines).toEqual(["2 interrupted · 1.0 s · process 7 is gone", "1 failed · 4.0 s · no ink"]);
  });
});

test("a phase for a written list says how many it is for, and no objects", async () => {
  const definition = {
    name: "upgrade",
    version: "1",
    kind: "workflow",
    form: "declarative",
    about: "",
    input_schema: null,
    input_fields: null,
    secret_fields: [],
    phases: [{ name: "each", agent: "upgrader", for_each: [{ package: "a" }, { package: "b" }] }],
  };
  renderAt("/workflows", {
    "/workflows": { trusted: true, items: [definition] },
    "/agents": { trusted: true, items: [] },
  });
  const planned = await screen.findByRole("list", { name: "Planned phases" });
  expect(planned.textContent).toBe("eachupgrader · for each of 2 that are listed");
});
