/** Time to place: where something of a moment is drawn, from 0 to 1, with idle times folded to a narrow width. */

export interface Piece {
  from: number;
  to: number;
  /** Where it begins and ends, from 0 to 1. */
  x0: number;
  x1: number;
  folded: boolean;
}

export interface Axis {
  from: number;
  to: number;
  pieces: readonly Piece[];
}

export type Interval = readonly [from: number, to: number];

/** An idle time is folded where it is longer than this, and than this part of the busy time. */
const LEAST_IDLE_MS = 2_000;
const IDLE_PART = 0.15;
/** A folded time is so wide; all together leave at least half for the work. */
const FOLDED_WIDTH = 0.03;
const FOLDED_MOST = 0.5;

/** The axis from one moment to another; `busy` says when somebody worked, in the order of beginnings. */
export function axisOf(from: number, to: number, busy: readonly Interval[], fold: boolean): Axis {
  const end = Math.max(to, from + 1);
  const idle = fold ? idleTimes(from, end, busy) : [];
  const folded = idle.reduce((sum, [a, b]) => sum + (b - a), 0);
  const width = idle.length === 0 ? 0 : Math.min(FOLDED_WIDTH, FOLDED_MOST / idle.length);
  const shown = end - from - folded;
  const scale = (1 - width * idle.length) / Math.max(1, shown);
  const pieces: Piece[] = [];
  let [at, x] = [from, 0];
  const put = (until: number, isFolded: boolean) => {
    if (until <= at) return;
    const next = x + (isFolded ? width : (until - at) * scale);
    pieces.push({ from: at, to: until, x0: x, x1: next, folded: isFolded });
    [at, x] = [until, next];
  };
  for (const [a, b] of idle) {
    put(a, false);
    put(b, true);
  }
  put(end, false);
  return { from, to: end, pieces };
}

/** Where a moment is, from 0 to 1; what is before or after is at the edge. */
export function placeOf(axis: Axis, time: number): number {
  if (time <= axis.from) return 0;
  if (time >= axis.to) return 1;
  const piece = axis.pieces.find((one) => time < one.to);
  if (piece === undefined) return 1;
  return piece.x0 + ((time - piece.from) / (piece.to - piece.from)) * (piece.x1 - piece.x0);
}

/** The moment at a place. */
export function timeAt(axis: Axis, place: number): number {
  const x = Math.max(0, Math.min(1, place));
  const piece = axis.pieces.find((one) => x <= one.x1) ?? axis.pieces.at(-1);
  if (piece === undefined) return axis.from;
  const part = piece.x1 === piece.x0 ? 0 : (x - piece.x0) / (piece.x1 - piece.x0);
  return piece.from + part * (piece.to - piece.from);
}

/** Times in which nobody worked, long enough to be folded. */
function idleTimes(from: number, to: number, busy: readonly Interval[]): Interval[] {
  const gaps: Interval[] = [];
  let [at, worked] = [from, 0];
  for (const [a, b] of busy) {
    const [start, end] = [Math.max(from, a), Math.min(to, b)];
    if (end <= start) continue;
    if (start > at) gaps.push([at, start]);
    worked += Math.max(0, end - Math.max(start, at));
    at = Math.max(at, end);
  }
  if (to > at) gaps.push([at, to]);
  const least = Math.max(LEAST_IDLE_MS, worked * IDLE_PART);
  return gaps.filter(([a, b]) => b - a > least);
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5,
  72e5, 216e5, 432e5, 864e5,
];

/** Moments to be marked, at round distances from the start, about so many; none in what is folded. */
export function ticksOf(axis: Axis, about: number): { time: number; place: number }[] {
  const shown = axis.pieces.filter((one) => !one.folded).reduce((sum, one) => sum + one.to - one.from, 0);
  const step = STEPS.find((one) => shown / one <= about) ?? Math.ceil(shown / about / 864e5) * 864e5;
  const found: { time: number; place: number }[] = [];
  for (const piece of axis.pieces) {
    if (piece.folded) continue;
    const first = Math.ceil((piece.from - axis.from) / step) * step + axis.from;
    for (let time = first; time < piece.to && found.length < 4 * about; time += step)
      found.push({ time, place: placeOf(axis, time) });
  }
  // Beside a fold two marks may come close to each other: of those the first stays.
  return found.filter((one, index) => {
    const before = found[index - 1];
    return before === undefined || one.place - before.place > 0.5 / about;
  });
}
