/** A tree of more runs than are read at once: only what is unfolded is asked for, and pages come as they are seen. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test } from "vitest";
import type { Run } from "../../src/runtime/index.ts";
import { madeRun } from "../records/made.ts";
import { type Answers, renderAt } from "../records/served.tsx";

const top = madeRun("big", { title: "Big", children: 5 } as Partial<Run>);
const child = (name: string) =>
  madeRun(name, { title: name, parent_run_id: "big", root_run_id: "big", depth: 1 });
const branch = (run: Run, children = 0) => ({ run, own: totals, subtree: totals, reused: false, children });
const totals = { requests: 0, tokens: 0, input_tokens: 0, output_tokens: 0, cost_usd: null, complete: true };

const BRANCHES = "/runs/big/branches";
const grand = madeRun("grand", { title: "grand", parent_run_id: "b", root_run_id: "big", depth: 2 });

let answers: Answers;

beforeEach(() => {
  localStorage.clear();
  answers = {
    "/runs/big": top,
    [`${BRANCHES}?limit=200`]: { items: [branch(top, 5)], next_cursor: "many", as_of: "e-1" },
    [`${BRANCHES}?depth=1&limit=1000`]: {
      items: [branch(top, 5), branch(child("a")), branch(child("b"), 1), branch(child("c"))],
      next_cursor: "next",
      as_of: "e-1",
    },
    [`${BRANCHES}?cursor=next&depth=1&limit=1000`]: {
      items: [branch(child("d")), branch(child("e"))],
      next_cursor: null,
      as_of: "e-1",
    },
    "/runs/b/branches?depth=1&limit=1000": {
      items: [branch(child("b"), 1), branch(grand)],
      next_cursor: null,
      as_of: "e-1",
    },
  };
});

const keys = (tree: HTMLElement) =>
  within(tree)
    .getAllByRole("row")
    .slice(1)
    .map((row) => `${row.getAttribute("data-key")} ${row.getAttribute("aria-level")}`);

test("children are asked for when they are unfolded, the next of them when their place is seen", async () => {
  const { asked } = renderAt("/runs/big?tab=tree", answers);
  const tree = await screen.findByRole("treegrid");
  await waitFor(() => expect(keys(tree)).toEqual(["big 1", "a 2", "b 2", "c 2", "d 2", "e 2"]));
  const below = () => asked.filter((one) => one.includes("depth=1")).map((one) => one.split("?")[0]);
  expect(below()).toEqual([`GET ${BRANCHES}`, `GET ${BRANCHES}`]);
  const b = tree.querySelector('[data-key="b"]') as HTMLElement;
  expect(b.getAttribute("aria-expanded")).toBe("false");
  await userEvent.click(within(b).getByRole("button", { name: "Unfold" }));
  await waitFor(() => expect(keys(tree)).toEqual(["big 1", "a 2", "b 2", "grand 3", "c 2", "d 2", "e 2"]));
  expect(below()).toEqual([`GET ${BRANCHES}`, `GET ${BRANCHES}`, "GET /runs/b/branches"]);
  expect(new URLSearchParams(window.location.search).getAll("unfolded")).toEqual(["b"]);
  expect(asked.filter((one) => one.includes("/tree"))).toEqual([]);
});

test("who comes back has what they had unfolded, and what was folded at the top stays so", async () => {
  renderAt("/runs/big?tab=tree&unfolded=b", answers);
  const tree = await screen.findByRole("treegrid");
  await waitFor(() => expect(keys(tree)).toContain("grand 3"));
  await userEvent.click(within(tree).getAllByRole("button", { name: "Fold" })[0] as HTMLElement);
  await waitFor(() => expect(keys(tree)).toEqual(["big 1"]));
  await userEvent.click(within(tree).getByRole("button", { name: "Unfold" }));
  await waitFor(() => expect(keys(tree)).toContain("grand 3"));
});

test("children that can't be read leave the rest as it is, and are not asked for over and over", async () => {
  answers[`${BRANCHES}?cursor=next&depth=1&limit=1000`] = Response.json(
    { code: "busy", status: 503 },
    { status: 503 },
  );
  const { asked } = renderAt("/runs/big?tab=tree", answers);
  const tree = await screen.findByRole("treegrid");
  await waitFor(() => expect(within(tree).getByText("2 more…")).toBeTruthy());
  await waitFor(() => expect(asked.filter((one) => one.includes("cursor=next"))).toHaveLength(1));
  await userEvent.click(within(tree).getByRole("button", { name: "Fold" }));
  await userEvent.click(within(tree).getAllByRole("button", { name: "Unfold" })[0] as HTMLElement);
  expect(asked.filter((one) => one.includes("cursor=next"))).toHaveLength(1);
  expect(keys(tree)).toEqual(["big 1", "a 2", "b 2", "c 2", "more big 2"]);
});
