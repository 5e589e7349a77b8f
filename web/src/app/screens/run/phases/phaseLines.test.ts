import type { WorkflowPhase } from "@runstone/react";
import { expect, test } from "vitest";
import { timeAt } from "../../../../../tests/records/made.ts";
import { elapsedOf } from "./phaseLines.ts";

const phase = (more: Partial<WorkflowPhase>) =>
  ({ started_at: timeAt(0), completed_at: null, active_ms: 0, active_since: null, ...more }) as WorkflowPhase;

test("what a phase took is the time in which attempts were in it, and not what lies between them", () => {
  const now = Date.parse(timeAt(90_000));
  const done = { completed_at: timeAt(86_405), active_ms: 5_000 };
  expect(elapsedOf(phase(done), now)).toBe(5_000);
  expect(elapsedOf(phase({ active_ms: 5_000, active_since: timeAt(89_998) }), now)).toBe(7_000);
  expect(elapsedOf(phase({ active_ms: 5_000 }), now)).toBe(5_000);
  expect(elapsedOf(phase({ started_at: null }), now)).toBeUndefined();
});
