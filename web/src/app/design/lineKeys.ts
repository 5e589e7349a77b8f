/** The line that a key leads to from another one, if there are as many; undefined for keys that lead nowhere. */
export function lineByKey(key: string, from: number, count: number, inView: number): number | undefined {
  const page = Math.max(1, inView - 2);
  const moves: Record<string, number> = {
    ArrowDown: from + 1,
    j: from + 1,
    ArrowUp: from - 1,
    k: from - 1,
    PageDown: from + page,
    PageUp: from - page,
    Home: 0,
    End: count - 1,
  };
  return moves[key];
}
