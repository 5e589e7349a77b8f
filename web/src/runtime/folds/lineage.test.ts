import fc from "fast-check";
import { expect, test } from "vitest";
import { madeRun, timeAt } from "../../../tests/records/made.ts";
import type { Run } from "../wire/records.ts";
import { type LineageNode, lineageOf } from "./lineage.ts";

const ids = ["a", "b", "c", "d", "e", "f"] as const;

/** Any lineage, with parents that are not there and circles that should not be. */
const anyRuns = fc
  .tuple(
    ...ids.map((id) =>
      fc.tuple(fc.constant(id), fc.constantFrom(null, "nobody", ...ids), fc.nat({ max: 3 })),
    ),
  )
  .map((all) =>
    all.map(([id, parent, at]) => madeRun(id, { parent_run_id: parent, created_at: timeAt(at) })),
  );

function flat(nodes: readonly LineageNode[], depth = 0): [string, number][] {
  return nodes.flatMap((node) => [
    [node.run.id, depth] as [string, number],
    ...flat(node.children, depth + 1),
  ]);
}

test("every run stands exactly once, in the same place for any order of the rows", () => {
  fc.assert(
    fc.property(anyRuns, fc.nat(), (runs: Run[], turn) => {
      const lines = flat(lineageOf(runs));
      expect(lines.map(([id]) => id).sort()).toEqual([...ids]);
      const at = turn % runs.length;
      const turned = [...runs.slice(at), ...runs.slice(0, at)].reverse();
      expect(flat(lineageOf(turned))).toEqual(lines);
    }),
  );
});

test("a child without its parent is marked, and one with it is below it", () => {
  const child = madeRun("child", { parent_run_id: "parent" });
  expect(lineageOf([child])[0]).toMatchObject({ orphan: true });
  const [top] = lineageOf([child, madeRun("parent")]);
  expect(top?.children.map(({ run }) => run.id)).toEqual(["child"]);
  expect(top?.orphan).toBe(false);
});
