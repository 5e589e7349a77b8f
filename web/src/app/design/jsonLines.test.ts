import { expect, test } from "vitest";
import { linesOf, matchesOf } from "./jsonLines.ts";

const NONE = new Set<string>();
const value = { name: "a", list: [1, { deep: { deeper: "needle" } }], "with/slash~": null };

test("small groups near the top are unfolded, deeper ones cost nothing until they are", () => {
  expect(linesOf(value, new Map(), NONE).map(({ path, text }) => [path, text])).toEqual([
    ["", "{3 fields}"],
    ["/name", '"a"'],
    ["/list", "[2 values]"],
    ["/list/0", "1"],
    ["/list/1", "{1 field}"],
    ["/with~1slash~0", "null"],
  ]);
  const unfolded = linesOf(
    value,
    new Map([
      ["/list/1", true],
      ["/list/1/deep", true],
    ]),
    NONE,
  );
  expect(unfolded.map(({ path }) => path)).toContain("/list/1/deep/deeper");
});

test("what is found is unfolded, wherever it is", () => {
  const found = matchesOf(value, "NEEDLE");
  expect(found.count).toBe(1);
  const lines = linesOf(value, new Map(), found.ancestors);
  expect(lines.some(({ text }) => text === '"needle"')).toBe(true);
  expect(matchesOf(value, "haystack").count).toBe(0);
});

test("a large list stays folded, and is laid out in part only", () => {
  const large = { items: Array.from({ length: 100_000 }, (_, index) => index) };
  expect(linesOf(large, new Map(), NONE)).toHaveLength(2);
  expect(linesOf(large, new Map([["/items", true]]), NONE).length).toBeLessThan(2_100);
  expect(matchesOf(large, "99999").count).toBe(1);
});

test("hostile text stays text", () => {
  const [, line] = linesOf({ x: "<img src=x>\u202e\u001b[31m" }, new Map(), NONE);
  expect(line?.text).toBe('"<img src=x>⟨U+202E⟩\\u001b[31m"');
});

test("an image in a text is told by its kind and size, not drawn and not spelled out", () => {
  const [line] = linesOf(`data:image/png;base64,${"A".repeat(4096)}`, new Map(), new Set());
  expect(line?.text).toBe("image/png, 3.0 KB");
});
