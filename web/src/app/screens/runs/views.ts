import type { SavedView } from "@runstone/react";
import { readState } from "../../location/codecs.ts";
import { RUNS_STATE, type RunsState } from "../../location/filters.ts";
import { labelsOf, pairOf } from "../../location/labels.ts";

const NONE: RunsState = readState(RUNS_STATE, "");

/** Views that are always there; the others are the ledger's. */
export const SYSTEM_VIEWS: readonly { name: string; state: RunsState }[] = [
  { name: "All", state: NONE },
  { name: "At the top", state: { ...NONE, top: true } },
  { name: "Needs input", state: { ...NONE, bucket: ["needs_input"] } },
  { name: "Failed", state: { ...NONE, bucket: ["failed"] } },
  { name: "Can be resumed", state: { ...NONE, status: ["interrupted"] } },
  { name: "Workflows", state: { ...NONE, kind: ["workflow"] } },
  { name: "Dearest", state: { ...NONE, sort: "cost" } },
];

type Kept = Pick<SavedView, "filters" | "sort" | "order" | "grouping">;

/** The filters, the order and the groups of a list, as a view keeps them. */
export function toView(state: RunsState): Kept {
  const { sort, order, group, label, q, top, ...lists } = state;
  const filters: Record<string, unknown> = Object.fromEntries(
    Object.entries(lists).filter(([, values]) => values.length > 0),
  );
  if (q !== "") filters.q = q;
  if (top) filters.depth = "0";
  if (label.length > 0) filters.labels = labelsOf(label);
  return { filters, sort, order, grouping: group === "none" ? null : group };
}

/** The list that a view stands for; what this page does not know is left out. */
export function fromView(view: Kept): RunsState {
  const given = (name: string) => textsOf(view.filters[name]);
  const labels = (view.filters.labels ?? {}) as Record<string, unknown>;
  return {
    bucket: RUNS_STATE.bucket.read(given("bucket")),
    status: RUNS_STATE.status.read(given("status")),
    kind: RUNS_STATE.kind.read(given("kind")),
    agent_id: given("agent_id"),
    definition_id: given("definition_id"),
    thread_id: given("thread_id"),
    top: given("depth")[0] === "0",
    label: Object.entries(labels).flatMap(([name, values]) =>
      textsOf(values).map((value) => pairOf(name, value)),
    ),
    q: given("q")[0] ?? "",
    group: RUNS_STATE.group.read([view.grouping ?? ""]),
    sort: RUNS_STATE.sort.read([view.sort]),
    order: RUNS_STATE.order.read([view.order]),
  };
}

/** Whether two lists are filtered, sorted and grouped alike. */
export function sameState(a: RunsState, b: RunsState): boolean {
  return JSON.stringify(toView(a)) === JSON.stringify(toView(b));
}

function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]).map(String);
}
