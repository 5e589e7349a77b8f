import fc from "fast-check";
import { expect, test } from "vitest";
import { axisOf, type Interval, placeOf, ticksOf, timeAt } from "./axis.ts";

const HOUR = 3_600_000;

test("an idle night is folded, and the work on both sides of it keeps its room", () => {
  const busy: Interval[] = [
    [0, 10_000],
    [8 * HOUR, 8 * HOUR + 10_000],
  ];
  const axis = axisOf(0, 8 * HOUR + 10_000, busy, true);
  expect(axis.pieces.map((piece) => piece.folded)).toEqual([false, true, false]);
  expect(placeOf(axis, 10_000)).toBeGreaterThan(0.45);
  expect(placeOf(axis, 8 * HOUR) - placeOf(axis, 10_000)).toBeLessThan(0.05);
});

test("without folding, places are in proportion", () => {
  const axis = axisOf(0, 1_000, [[0, 10]], false);
  expect(placeOf(axis, 250)).toBeCloseTo(0.25);
});

test("short pauses are not folded", () => {
  const axis = axisOf(
    0,
    10_000,
    [
      [0, 4_000],
      [5_000, 10_000],
    ],
    true,
  );
  expect(axis.pieces).toHaveLength(1);
});

test("for any work, places keep the order of times and lead back to them", () => {
  const interval = fc
    .tuple(fc.nat(1e6), fc.nat(1e5))
    .map(([from, length]): Interval => [from, length > 9e4 ? Number.POSITIVE_INFINITY : from + length]);
  const work = fc.array(interval, { maxLength: 30 }).map((all) => all.sort(([a], [b]) => a - b));
  fc.assert(
    fc.property(work, fc.nat(1e6), fc.nat(1e6), (busy, a, b) => {
      const axis = axisOf(0, 1.2e6, busy, true);
      const [first, second] = [Math.min(a, b), Math.max(a, b)];
      expect(placeOf(axis, first)).toBeLessThanOrEqual(placeOf(axis, second) + 1e-9);
      expect(timeAt(axis, placeOf(axis, a))).toBeCloseTo(a, 0);
      for (const tick of ticksOf(axis, 8)) expect(tick.place).toBeLessThanOrEqual(1);
    }),
  );
});
