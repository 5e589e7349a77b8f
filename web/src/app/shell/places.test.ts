import { beforeEach, expect, test, vi } from "vitest";
import { keepPlace, placeOf } from "./places.ts";

const KEY = "runstone.places";
const written = () => new Map<string, unknown>(JSON.parse(localStorage.getItem(KEY) ?? "[]"));

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  return () => vi.useRealTimers();
});

test("a place is known at once, and written down when scrolling comes to rest", () => {
  keepPlace("tree:r1", 10);
  keepPlace("tree:r1", 96);
  expect(placeOf("tree:r1", 0)).toBe(96);
  expect(written().size).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(written()).toEqual(new Map([["tree:r1", 96]]));
  keepPlace("tree:r1", undefined);
  expect(placeOf("tree:r1", 0)).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(written().size).toBe(0);
});

test("a page that is left has written its places down, beside those of other tabs", () => {
  keepPlace("tree:mine", 1);
  localStorage.setItem(KEY, JSON.stringify([["tree:theirs", 2]]));
  window.dispatchEvent(new Event("pagehide"));
  expect(written()).toEqual(
    new Map([
      ["tree:theirs", 2],
      ["tree:mine", 1],
    ]),
  );
});

test("of many places those that changed last stay", () => {
  for (let at = 1; at <= 300; at += 1) keepPlace(`runs:${at}`, at);
  keepPlace("runs:101", 1_000);
  vi.advanceTimersByTime(1_000);
  expect(written().size).toBe(200);
  expect(placeOf("runs:100", 0)).toBe(0);
  expect(placeOf("runs:101", 0)).toBe(1_000);
  expect(placeOf("runs:300", 0)).toBe(300);
});

test("what is no list of places counts as none", () => {
  localStorage.setItem(KEY, JSON.stringify({ "tree:r1": 5 }));
  expect(placeOf("tree:r1", 0)).toBe(0);
});
