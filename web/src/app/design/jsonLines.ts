import { formatBytes } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";

/** A line of a value's tree. */
export interface JsonLine {
  /** A JSON pointer. */
  path: string;
  depth: number;
  name: string;
  text: string;
  kind: "text" | "number" | "word" | "group";
  value: unknown;
  /** How many values are in it; undefined where there can be none. */
  size?: number;
  unfolded: boolean;
}

/** Groups down to that depth are unfolded at first, if they are not large. */
const UNFOLDED_DEPTH = 2;
const UNFOLDED_SIZE = 50;
/** More values of one group are not laid out at once; find and copy have them. */
const SHOWN_OF_GROUP = 2_000;
const MOST_MATCHES = 1_000;

/** The lines of the parts that are unfolded: what is folded costs nothing. */
export function linesOf(
  value: unknown,
  folds: ReadonlyMap<string, boolean>,
  forced: ReadonlySet<string>,
): JsonLine[] {
  const lines: JsonLine[] = [];
  const walk = (one: unknown, path: string, name: string, depth: number) => {
    const children = childrenOf(one);
    const size = children?.length;
    const small = depth < UNFOLDED_DEPTH && (size ?? 0) <= UNFOLDED_SIZE;
    const unfolded = size !== undefined && size > 0 && (forced.has(path) || (folds.get(path) ?? small));
    const line: JsonLine = { path, depth, name: visible(name), ...textOf(one, size), value: one, unfolded };
    if (size !== undefined && size > 0) line.size = size;
    lines.push(line);
    if (!unfolded) return;
    for (const [key, child] of children?.slice(0, SHOWN_OF_GROUP) ?? [])
      walk(child, below(path, key), key, depth + 1);
  };
  walk(value, "", "", 0);
  return lines;
}

/** Where a text is: how many lines have it, and which groups are around them. */
export function matchesOf(
  value: unknown,
  find: string,
): { count: number; ancestors: Set<string>; cut: boolean } {
  const wanted = find.toLowerCase();
  const ancestors = new Set<string>();
  let count = 0;
  const walk = (one: unknown, path: string, name: string, around: string[]): void => {
    if (count >= MOST_MATCHES) return;
    const children = childrenOf(one);
    const text = children === undefined ? textOf(one, undefined).text : "";
    if (name.toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted)) {
      count += 1;
      for (const group of around) ancestors.add(group);
    }
    for (const [key, child] of children ?? []) walk(child, below(path, key), key, [...around, path]);
  };
  walk(value, "", "", []);
  return { count, ancestors, cut: count >= MOST_MATCHES };
}

function childrenOf(value: unknown): [string, unknown][] | undefined {
  if (Array.isArray(value)) return value.map((one, index) => [String(index), one]);
  if (typeof value === "object" && value !== null) return Object.entries(value);
  return undefined;
}

function textOf(value: unknown, size: number | undefined): { text: string; kind: JsonLine["kind"] } {
  if (Array.isArray(value)) return { text: size === 0 ? "[]" : `[${size} values]`, kind: "group" };
  if (size !== undefined)
    return { text: size === 0 ? "{}" : `{${size} ${size === 1 ? "field" : "fields"}}`, kind: "group" };
  if (typeof value === "string")
    return { text: mediaOf(value) ?? visible(JSON.stringify(value)), kind: "text" };
  return { text: String(value), kind: typeof value === "number" ? "number" : "word" };
}

/** What a medium in a text is, in a word: its characters say nothing to anybody, and it is never drawn by itself. */
function mediaOf(text: string): string | undefined {
  const found = /^data:([\w.+-]+\/[\w.+-]+);base64,/.exec(text.slice(0, 200));
  return found === null
    ? undefined
    : `${found[1]}, ${formatBytes(((text.length - found[0].length) * 3) / 4)}`;
}

function below(path: string, key: string): string {
  return `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
