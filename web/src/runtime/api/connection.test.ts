import { expect, test } from "vitest";
import { connectionSlice, serverTimeTold } from "./connection.ts";

const { reducer } = connectionSlice;
const start = reducer(undefined, { type: "" });
const HERE = Date.parse("2026-01-05T09:00:00.400Z");
const told = (date: string, took = 20) =>
  serverTimeTold({ told: date, askedAt: HERE - took / 2, answeredAt: HERE + took / 2 });

test("a browser whose clock differs shows times by the server's", () => {
  const behind = reducer(start, told("Mon, 05 Jan 2026 09:05:00 GMT"));
  expect(behind.aheadMs).toBe(300_100);
  // The next answer falls into another part of its second: that is no news.
  expect(reducer(behind, told("Mon, 05 Jan 2026 09:05:01 GMT"))).toBe(behind);
  // The clock was set right.
  expect(reducer(behind, told("Mon, 05 Jan 2026 09:00:00 GMT")).aheadMs).toBe(0);
});

test("clocks that agree to the second, slow answers and what is no date say nothing", () => {
  expect(reducer(start, told("Mon, 05 Jan 2026 09:00:01 GMT"))).toBe(start);
  expect(reducer(start, told("Mon, 05 Jan 2026 10:00:00 GMT", 9_000))).toBe(start);
  expect(reducer(start, told("soon"))).toBe(start);
});
