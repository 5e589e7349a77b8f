import type { Branch, LineageNode, Run } from "@runstone/react";
import type { Row } from "../../design/Grid.tsx";

/** A line of a tree: a run, or what stands for so many children that are still to be fetched. */
export type TreeLine = Run | { parentId: string; more: number; isFetching: boolean };

/** The lines of what is unfolded, in order; a stack, as a tree may be deeper than calls can be. */
export function rowsOfAll(tops: readonly LineageNode[], folded: ReadonlySet<string>): Row<TreeLine>[] {
  const rows: Row<TreeLine>[] = [];
  const left = tops.map((node) => ({ node, level: 1 })).reverse();
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { node, level } = next;
    const expanded = node.children.length === 0 ? undefined : !folded.has(node.run.id);
    rows.push(rowOf(node.run, level, expanded));
    if (expanded) left.push(...node.children.map((child) => ({ node: child, level: level + 1 })).reverse());
  }
  return rows;
}

/** The lines of a tree of which the branches are known that are unfolded. */
export function rowsOfBranches(
  topId: string,
  branches: ReadonlyMap<string, Branch>,
  unfolded: ReadonlySet<string>,
): Row<TreeLine>[] {
  const top = branches.get(topId)?.run ?? null;
  const rows: Row<TreeLine>[] = [];
  // A run that would be its own ancestor is shown once.
  const seen = new Set<string>();
  const left: Row<TreeLine>[] = top === null ? [] : [rowOf(top, 1, expansionOf(top, unfolded))];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    rows.push(next);
    const branch = next.expanded === true && !seen.has(next.key) ? branches.get(next.key) : undefined;
    if (branch === undefined) continue;
    seen.add(next.key);
    const level = (next.level ?? 1) + 1;
    const below = branch.children.map((run) => rowOf(run, level, expansionOf(run, unfolded)));
    if (branch.hasMore) below.push(restOf(next.key, branch, level));
    // One by one, as a call takes only so many arguments.
    for (const row of below.reverse()) left.push(row);
  }
  return rows;
}

function restOf(parentId: string, branch: Branch, level: number): Row<TreeLine> {
  const more = Math.max(1, (branch.run?.children ?? 0) - branch.children.length);
  // What failed is asked for again when the server is back, not as often as it is seen.
  const isFetching = branch.isFetching || branch.error !== undefined;
  return { key: `more ${parentId}`, value: { parentId, more, isFetching }, level };
}

function rowOf(run: Run, level: number, expanded: boolean | undefined): Row<TreeLine> {
  return { key: run.id, value: run, level, ...(expanded !== undefined && { expanded }) };
}

function expansionOf(run: Run, unfolded: ReadonlySet<string>): boolean | undefined {
  return (run.children ?? 0) === 0 ? undefined : unfolded.has(run.id);
}
