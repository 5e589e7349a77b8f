import { expect, test } from "vitest";
import { madeEvent } from "../../../../tests/records/made.ts";
import { eventLine, fitsText } from "./eventLines.ts";

const CHILD = "01a22922-9aa4-75fa-be1c-bb93909f7830";

test("a line says what is telling of an event, and whole values are for its own view", () => {
  const line = (type: string, payload: unknown) => eventLine(madeEvent("r1", 1, type, payload));
  expect(line("run.started", { attempt: 2, owner: "o", definition_hash: "h" })).toBe("attempt 2");
  expect(line("iteration.started", { n: 3 })).toBe("round 3");
  expect(line("note.taken", { n: 3 })).toBe("3");
  expect(line("child.completed", { child_run_id: CHILD, status: "completed" })).toBe("909f7830 · completed");
  expect(line("tool.completed", { call_id: "c1", ok: false, error: "no route" })).toBe("no route · c1");
  expect(line("weather.observed", { sky: ["clear"] })).toBe('{"sky":["clear"]}');
  expect(line("weather.observed", null)).toBe("");
  expect(
    eventLine({ ...madeEvent("r1", 1, "note.taken", null), payload_ref: "b", payload_bytes: 2_048 }),
  ).toBe("a payload of 2.0 KB");
});

test("a child is found by its whole id, though its line shows the end of it", () => {
  const event = madeEvent("r1", 1, "child.started", { child_run_id: CHILD });
  expect([CHILD, "9aa4-75fa", "child.st", "other"].map((words) => fitsText(event, words))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
