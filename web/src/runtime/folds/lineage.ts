import type { Run } from "../wire/records.ts";
import { compareTimes } from "../wire/times.ts";

/** A run with those that it started. */
export interface LineageNode {
  run: Run;
  children: LineageNode[];
  /** Its parent is known by name only: it stands at the top until the parent's row comes. */
  orphan: boolean;
}

/** Runs nested by who started whom, in the order in which they were created.
 *
 * Rows come in any order and parents after their children; a run is nowhere twice, and none is lost: one whose parent is
 * not there, or who would be its own ancestor, stands at the top.
 */
export function lineageOf(runs: Iterable<Run>): LineageNode[] {
  const nodes = new Map<string, LineageNode>();
  for (const run of [...runs].sort(byCreation)) nodes.set(run.id, { run, children: [], orphan: false });
  const tops: LineageNode[] = [];
  for (const node of nodes.values()) {
    const parent = node.run.parent_run_id === null ? undefined : nodes.get(node.run.parent_run_id);
    if (parent !== undefined && !isAncestor(node, parent, nodes)) parent.children.push(node);
    else {
      node.orphan = node.run.parent_run_id !== null;
      tops.push(node);
    }
  }
  return tops;
}

/** The order of creation; ids decide between equals, so that it is the same everywhere. */
export function byCreation(a: Run, b: Run): number {
  return compareTimes(a.created_at, b.created_at) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function isAncestor(node: LineageNode, of: LineageNode, nodes: Map<string, LineageNode>): boolean {
  let seen = 0;
  for (let at: LineageNode | undefined = of; at !== undefined && seen <= nodes.size; seen += 1) {
    if (at === node) return true;
    at = at.run.parent_run_id === null ? undefined : nodes.get(at.run.parent_run_id);
  }
  return seen > nodes.size;
}
