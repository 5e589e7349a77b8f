/** A duration as people read it: two units at most, and no more exact than it helps. */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || ms < 0) return "";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return pair(hours, "h", minutes % 60, "min");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** How long ago, in one unit: `4 min`, `3 d`. */
export function formatAge(ms: number): string {
  return formatDuration(ms < 1_000 ? 0 : Math.floor(ms / 1_000) * 1_000)
    .replace(/^0 ms$/, "now")
    .replace(/^(\d+)\.\d s$/, "$1 s")
    .replace(/^(\d+ (?:min|h|d)) .*$/, "$1");
}
