/** Timeline, phases, usage and comparison, from what the server answered about the demo's runs. */
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import demo from "../fixtures/demo.json";
import { type Answers, renderAt } from "../records/served.tsx";

const answers = () => structuredClone(demo) as Answers;
const CHECK = "/runs/demo-check-1";

beforeEach(() => {
  // A test's page has no layout: the lists take the whole of what a page would show.
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(700);
  vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(1200);
});

async function timelineAt(address: string): Promise<HTMLElement> {
  renderAt(address, answers());
  return await screen.findByRole("treegrid", { name: "Timeline" });
}

const namesOf = (grid: HTMLElement) =>
  within(grid)
    .getAllByRole("row")
    .slice(1)
    .map((row) => `${row.getAttribute("aria-level")} ${row.textContent}`);

test("the timeline nests runs by who started whom, three deep, without reading their events", async () => {
  const { asked } = renderAt(`${CHECK}?tab=timeline`, answers());
  const grid = await screen.findByRole("treegrid", { name: "Timeline" });
  await waitFor(() => expect(namesOf(grid)).toHaveLength(17));
  const names = namesOf(grid);
  expect(names[0]).toMatch(/^1 .*Check release 4\.2/);
  expect(names.filter((name) => name.startsWith("4 "))).toHaveLength(2);
  expect(names.filter((name) => /^3 .*checker/.test(name))).toHaveLength(2);
  expect(asked.filter((one) => one.includes("/timeline"))).toHaveLength(1);
  expect(asked.filter((one) => /\/runs\/01.*\/events/.test(one))).toEqual([]);
});

test("a retried run has a bar for each attempt, and each says its outcome in words", async () => {
  const grid = await timelineAt(`${CHECK}?tab=timeline`);
  const failed = within(grid).getByRole("button", { name: /^attempt 1, .*, failed: / });
  const row = failed.closest("[role=row]") as HTMLElement;
  const bars = within(row).getAllByRole("button");
  const labels = bars.map((bar) => bar.getAttribute("aria-label") ?? "");
  expect(labels.some((label) => /^attempt 2, .*, completed$/.test(label))).toBe(true);
  expect(failed.dataset.kind).toBe("failed");
});

test("folding a run hides what is below it, and the address keeps it", async () => {
  const grid = await timelineAt(`${CHECK}?tab=timeline`);
  const [top] = within(grid).getAllByRole("button", { name: "Fold" });
  await userEvent.click(top as HTMLElement);
  expect(namesOf(grid)).toHaveLength(1);
  expect(window.location.search).toContain("folded=demo-check-1");
});

test("arrows move along the lines, and the edges of the range are moved by keys", async () => {
  const grid = await timelineAt(`${CHECK}?tab=timeline`);
  fireEvent.keyDown(within(grid).getAllByRole("row")[1] as HTMLElement, { key: "ArrowDown" });
  await waitFor(() => expect(window.location.search).toContain("row=01"));
  fireEvent.keyDown(screen.getByRole("slider", { name: "From" }), { key: "PageUp" });
  await waitFor(() => expect(window.location.search).toContain("from="));
  expect(screen.getByRole("button", { name: "Show all of it" })).toBeTruthy();
});

test("a question's wait is told apart from work, and idle time is folded", async () => {
  const grid = await timelineAt("/runs/demo-notes-1?tab=timeline");
  expect(within(grid).getByRole("button", { name: /^waits for a person, / }).dataset.kind).toBe(
    "awaiting_user",
  );
  expect(within(grid).getByRole("button", { name: /^attempt 1, .*, then waits for a person/ })).toBeTruthy();
  expect(screen.getByText(/idle folded/)).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Fold idle time" }));
  expect(screen.queryByText(/idle folded/)).toBeNull();
});

test("phases show what is planned, what limits them and what they wait for", async () => {
  renderAt("/runs/demo-upgrade-1", answers());
  const board = await screen.findByRole("region", { name: "Phases" });
  const [upgrade, pin] = within(board).getAllByRole("listitem") as [HTMLElement, HTMLElement];
  expect(upgrade.textContent).toContain("3 of 5");
  expect(upgrade.textContent).toContain("at most 1 at a time");
  expect(upgrade.textContent).toContain("2 reused");
  expect(upgrade.textContent).toContain("2 interrupted, 3 completed");
  expect(upgrade.textContent).toContain("goes on when the run is resumed");
  expect(pin.textContent).toContain("waits for upgrade");
});

test("a phase leads to its agents", async () => {
  renderAt("/runs/demo-upgrade-1", answers());
  await userEvent.click(await screen.findByRole("button", { name: "upgrade" }));
  const agents = await screen.findByRole("grid", { name: "Agents of upgrade" });
  expect(within(agents).getAllByRole("row")).toHaveLength(6);
  expect(agents.textContent).toContain("httpx is up to date");
});

test("an unknown cost is unknown in the usage, and never $0", async () => {
  renderAt("/usage?range=all", answers());
  const row = (await screen.findByRole("button", { name: "local-embedder" })).closest("tr") as HTMLElement;
  expect(within(row).getAllByRole("cell")[0]?.textContent).toBe("unknown");
  expect(screen.getByText("Cost", { selector: "dt" }).nextElementSibling?.textContent).toMatch(/^≥ \$/);
});

test("a fork is compared with its source by phase and part; only what differs is shown", async () => {
  renderAt("/compare?a=demo-check-1&b=demo-check-2", answers());
  expect(await screen.findByText(/B is a fork of A\./)).toBeTruthy();
  expect(screen.getByText("/release").closest("li")?.textContent).toMatch(/changed.*4\.2.*4\.3/);
  await userEvent.click(screen.getByRole("button", { name: "Only what differs" }));
  expect(window.location.search).toContain("all=1");
});
