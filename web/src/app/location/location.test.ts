import fc from "fast-check";
import { expect, test } from "vitest";
import { fromView, toView } from "../screens/runs/views.ts";
import { readState, writeState } from "./codecs.ts";
import {
  KINDS,
  parseQuery,
  printQuery,
  RUNS_STATE,
  type RunsState,
  STATUSES,
  toCountsQuery,
  toRunsQuery,
} from "./filters.ts";
import { labelsOf, pairOf } from "./labels.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const named = fc.string({
  minLength: 1,
  maxLength: 6,
  unit: fc.constantFrom("a", "=", ":", "%", "2", "5", " ", '"'),
});
const states: fc.Arbitrary<RunsState> = fc.record({
  bucket: fc.subarray(["needs_input", "failed", "stopped", "working", "completed"] as const),
  status: fc.subarray([...STATUSES]),
  kind: fc.subarray([...KINDS]),
  agent_id: fc.uniqueArray(word, { maxLength: 3 }),
  definition_id: fc.uniqueArray(word, { maxLength: 2 }),
  thread_id: fc.uniqueArray(word, { maxLength: 2 }),
  top: fc.boolean(),
  group: fc.constantFrom("none", "bucket", "agent_id", "definition_id", "thread_id", "day"),
  label: fc.uniqueArray(
    fc.tuple(named, named).map(([name, value]) => pairOf(name, value)),
    { maxLength: 2 },
  ),
  q: fc.array(word, { maxLength: 3 }).map((words) => words.join(" ")),
  sort: fc.constantFrom("updated", "created", "ended", "duration", "cost"),
  order: fc.constantFrom("desc", "asc"),
});

test("every filter survives the URL, and what a person typed survives being printed", () => {
  fc.assert(
    fc.property(states, (state) => {
      expect(readState(RUNS_STATE, `?${writeState(RUNS_STATE, "", state)}`)).toEqual(state);
      const { sort: _sort, order: _order, group: _group, ...filters } = state;
      expect(parseQuery(printQuery(filters))).toEqual(filters);
    }),
  );
});

test("what the URL has of others is left alone, and what can't be read is the default", () => {
  expect(writeState(RUNS_STATE, "?peek=r1&q=old", { q: "new" })).toBe("peek=r1&q=new");
  expect(writeState(RUNS_STATE, "?q=old&peek=r1", { q: "" })).toBe("peek=r1");
  expect(readState(RUNS_STATE, "?status=exploded&sort=mood&bucket=failed")).toMatchObject({
    status: [],
    sort: "updated",
    bucket: ["failed"],
  });
});

test("words that are no filters are searched for as they are", () => {
  expect(parseQuery('s:failed "two words" http://x a:').q).toBe('"two words" http://x a:');
  expect(parseQuery("s:failed").status).toEqual(["failed"]);
});

test("an empty filter asks for nothing, and counts don't depend on the order", () => {
  const none = readState(RUNS_STATE, "");
  expect(toRunsQuery(none)).toEqual({});
  const sorted = { ...none, sort: "cost" as const, label: ["team=core"] };
  expect(toRunsQuery(sorted)).toEqual({ sort: "cost", labels: { team: ["core"] } });
  expect(toCountsQuery(toRunsQuery(sorted))).toEqual({ labels: { team: ["core"] } });
});

test("values of one label are alternatives, and a name may hold what ends one", () => {
  const label = [pairOf("team", "core"), pairOf("team", "edge of town"), pairOf("a=b:c", "100%")];
  const asked = { team: ["core", "edge of town"], "a=b:c": ["100%"] };
  expect(labelsOf(label)).toEqual(asked);
  const state = { ...readState(RUNS_STATE, ""), label };
  expect(toRunsQuery(state)).toEqual({ labels: asked });
  expect(fromView(toView(state))).toEqual(state);
  expect(parseQuery("label.team:core label.a%3Db%3Ac:100%").label).toEqual([label[0], label[2]]);
});
