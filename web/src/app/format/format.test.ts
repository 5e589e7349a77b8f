import { describe, expect, test } from "vitest";
import { madeRun, timeAt } from "../../../tests/records/made.ts";
import { formatAge, formatDuration } from "./durations.ts";
import { formatCost, formatCount } from "./numbers.ts";
import { elapsedOf, livenessOf } from "./runs.ts";
import { visible } from "./visible.ts";

test.each([
  [0, "0 ms", "now"],
  [840, "840 ms", "now"],
  [2_480, "2.4 s", "2 s"],
  [59_999, "59 s", "59 s"],
  [60_000, "1 min", "1 min"],
  [252_000, "4 min 12 s", "4 min"],
  [3_780_000, "1 h 3 min", "1 h"],
  [180_000_000, "2 d 2 h", "2 d"],
])("%d ms are a duration and an age in words", (ms, duration, age) => {
  expect(formatDuration(ms)).toBe(duration);
  expect(formatAge(ms)).toBe(age);
});

test("what is not known is not shown as 0", () => {
  expect(formatDuration(null)).toBe("");
  expect(formatDuration(-1)).toBe("");
  expect(formatCount(undefined)).toBe("");
  expect(formatCost(null)).toBe("unknown");
  expect(formatCost("0")).toBe("$0.00");
});

test("costs below a cent keep two digits, and a sum that lacks some is a lower bound", () => {
  expect(formatCost("0.0123")).toBe("$0.01");
  expect(formatCost("0.00042")).toBe("$0.00042");
  expect(formatCost("12.5", false)).toBe("≥ $12.50");
});

describe("a run's elapsed time", () => {
  const now = Date.parse(timeAt(600));
  const at = (state: "live" | "silent" | "gone", seconds: number) => ({
    state,
    last_seen_at: timeAt(seconds),
    expires_at: null,
  });

  test("moves while it is live, and stops at the last heartbeat where it is silent or gone", () => {
    const live = madeRun("r", { status: "running", completed_at: null, shown: at("live", 599) });
    expect(elapsedOf(live, now)).toBe(599_000);
    expect(elapsedOf({ ...live, shown: at("silent", 301) }, now)).toBe(300_000);
    expect(elapsedOf({ ...live, status: "interrupted", shown: at("gone", 301) }, now)).toBe(300_000);
  });

  test("is told apart from the state of its process", () => {
    const run = madeRun("r", { status: "running", completed_at: null, shown: at("silent", 360) });
    expect(livenessOf(run, now)).toBe("no heartbeat for 4 min");
    expect(livenessOf(madeRun("r"), now)).toBe("");
  });
});

test("characters that turn or obey are signs that can be seen; lines and tabs stay", () => {
  expect(visible("a\u202eb\u2066c\u061c")).toBe("a⟨U+202E⟩b⟨U+2066⟩c⟨U+061C⟩");
  expect(visible("\u001b[31mred\u0000\u009b")).toBe("␛[31mred␀⟨U+009B⟩");
  expect(visible("one\n\ttwo\r\n")).toBe("one\n\ttwo\r\n");
});
