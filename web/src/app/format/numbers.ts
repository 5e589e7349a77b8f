const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en");

/** A count, short: `1.2K`. */
export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : compact.format(value);
}

/** A count with every digit. */
export function formatWhole(value: number): string {
  return plain.format(value);
}

const BELOW_A_CENT = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 2,
  minimumSignificantDigits: 1,
});
const FROM_A_CENT = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });

/** A cost, from decimal text; null is unknown and never $0. A sum that lacks some is a lower bound, and says so. */
export function formatCost(usd: string | number | null | undefined, complete = true): string {
  if (usd === null || usd === undefined) return "unknown";
  const value = Number(usd);
  if (!Number.isFinite(value)) return "unknown";
  const text = value !== 0 && Math.abs(value) < 0.01 ? BELOW_A_CENT.format(value) : FROM_A_CENT.format(value);
  return complete ? text : `≥ ${text}`;
}

const UNITS = ["bytes", "KB", "MB", "GB"];

/** A size: `5.2 MB`. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
