/** A place in the order of commits: `<epoch>-<position>`. Restoring a ledger begins another epoch. */
export interface Cursor {
  epoch: string;
  position: number;
}

/** The cursor that the text stands for; null where it is none. */
export function parseCursor(text: string | null | undefined): Cursor | null {
  const found = /^(.+)-(\d+)$/.exec(text ?? "");
  if (found?.[1] === undefined) return null;
  return { epoch: found[1], position: Number(found[2]) };
}

/** Whether `a` is before `b`; cursors of two epochs have no order, so the older one can't be gone on from. */
export function isBefore(a: string | null, b: string): boolean {
  const [left, right] = [parseCursor(a), parseCursor(b)];
  if (left === null || right === null) return true;
  return left.epoch === right.epoch && left.position < right.position;
}

/** The later of two cursors; of two epochs the second, which is the news. */
export function later(a: string | null, b: string): string {
  return a !== null && isBefore(b, a) ? a : b;
}
