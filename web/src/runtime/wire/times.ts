/** Orders times of the API: RFC 3339 in UTC, to the microsecond, with the fraction left out where it is 0. */
export function compareTimes(a: string, b: string): number {
  if (a === b) return 0;
  const difference = Date.parse(a) - Date.parse(b);
  if (difference !== 0 && Number.isFinite(difference)) return difference;
  const [left, right] = [fraction(a), fraction(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Milliseconds from one time to another; undefined without either. */
export function elapsedBetween(from: string | null, to: string | null): number | undefined {
  if (from === null || to === null) return undefined;
  const ms = Date.parse(to) - Date.parse(from);
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function fraction(time: string): string {
  return (/\.(\d+)/.exec(time)?.[1] ?? "").padEnd(9, "0");
}
