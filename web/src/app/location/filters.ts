import { BUCKETS, type RunStatus, type RunsQuery } from "@runstone/react";
import { choice, choices, flag, type StateOf, text, texts } from "./codecs.ts";
import { labelsOf, typedPair } from "./labels.ts";

export const STATUSES: readonly RunStatus[] = [
  "pending",
  "running",
  "waiting",
  "awaiting_user",
  "paused",
  "completed",
  "failed",
  "cancelled",
  "interrupted",
  "moved",
];

export const KINDS = [
  "workflow",
  "workflow_child",
  "subagent",
  "worker_thread",
  "background_agent",
  "team_member",
] as const;

/** The filters and the order of a list of runs, as they stand in the URL: the names are those of the API. */
export const RUNS_STATE = {
  bucket: choices(BUCKETS),
  status: choices(STATUSES),
  kind: choices(KINDS),
  agent_id: texts,
  definition_id: texts,
  thread_id: texts,
  label: texts,
  /** Only runs that no other run started. */
  top: flag,
  q: text,
  group: choice(["none", "bucket", "agent_id", "definition_id", "thread_id", "day"]),
  sort: choice(["updated", "created", "ended", "duration", "cost"]),
  order: choice(["desc", "asc"]),
};

/** What a list can be grouped by, as people say it. */
export const GROUPINGS = {
  none: "no groups",
  bucket: "state",
  agent_id: "agent",
  definition_id: "workflow",
  thread_id: "thread",
  day: "day",
} as const;

export type RunsState = StateOf<typeof RUNS_STATE>;

/** What is no filter: how the list is put. */
type Put = "sort" | "order" | "group";

/** The words of the query language, and the parameters that they stand for. */
const WORDS = {
  b: "bucket",
  bucket: "bucket",
  s: "status",
  status: "status",
  k: "kind",
  kind: "kind",
  a: "agent_id",
  agent: "agent_id",
  w: "definition_id",
  workflow: "definition_id",
  t: "thread_id",
  thread: "thread_id",
} as const;

const LISTS = ["bucket", "status", "kind", "agent_id", "definition_id", "thread_id"] as const;
const TOP = "is:top";

/** What a person typed as filters: `s:failed a:researcher label.team:core` and the rest as words to search for. */
export function parseQuery(typed: string): Omit<RunsState, Put> {
  const values: Record<string, string[]> = {
    bucket: [],
    status: [],
    kind: [],
    agent_id: [],
    definition_id: [],
    thread_id: [],
  };
  let top = false;
  const labels: string[] = [];
  const rest: string[] = [];
  for (const word of typed.match(/"[^"]*"|\S+/g) ?? []) {
    const [name = "", value = ""] = split(word);
    const parameter = WORDS[name as keyof typeof WORDS];
    if (word === TOP) top = true;
    else if (parameter !== undefined && value !== "") values[parameter]?.push(value);
    else if (name.startsWith("label.") && name.length > 6 && value !== "")
      labels.push(typedPair(name.slice(6), value));
    else rest.push(word);
  }
  return {
    bucket: RUNS_STATE.bucket.read(values.bucket ?? []),
    status: RUNS_STATE.status.read(values.status ?? []),
    kind: RUNS_STATE.kind.read(values.kind ?? []),
    agent_id: texts.read(values.agent_id ?? []),
    definition_id: texts.read(values.definition_id ?? []),
    thread_id: texts.read(values.thread_id ?? []),
    label: labels,
    top,
    q: rest.join(" "),
  };
}

/** The filters as a person would type them. */
export function printQuery(state: Omit<RunsState, Put>): string {
  const short = {
    bucket: "b",
    status: "s",
    kind: "k",
    agent_id: "a",
    definition_id: "w",
    thread_id: "t",
  } as const;
  const words = LISTS.flatMap((name) => state[name].map((value) => `${short[name]}:${value}`));
  const labels = state.label.map((pair) => `label.${pair.replace("=", ":")}`);
  return [...words, ...labels, ...(state.top ? [TOP] : []), ...(state.q === "" ? [] : [state.q])].join(" ");
}

/** The filters as the API takes them. */
export function toRunsQuery(state: RunsState): RunsQuery {
  const { label, sort, order } = state;
  const lists = LISTS.filter((name) => state[name].length > 0).map((name) => [name, state[name]]);
  return {
    ...Object.fromEntries(lists),
    ...(state.top && { depth: 0 }),
    ...(state.q !== "" && { q: state.q }),
    ...(label.length > 0 && { labels: labelsOf(label) }),
    ...(sort !== "updated" && { sort }),
    ...(order !== "desc" && { order }),
  };
}

/** The filters alone, by which runs are counted: equal ones count once, whatever the order of the list. */
export function toCountsQuery({ sort: _sort, order: _order, ...filters }: RunsQuery): RunsQuery {
  return filters;
}

function split(word: string): [string, string] {
  const at = word.indexOf(":");
  return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
}
