import { formatCost, formatCount } from "../../format/numbers.ts";
import { tokensOf } from "../../format/runs.ts";
import type { Bar } from "./buckets.ts";
import styles from "./Usage.module.css";

interface Props {
  bars: readonly Bar[];
  part: "hour" | "day";
  measure: "cost" | "tokens";
}

const HEIGHT = 120;
const WIDTH = 720;
/** Room above the highest bar, for the mark of a cost that is not known. */
const MARK = 16;

/** A bar for each hour or day. Where no cost is known, a hatched mark stands instead of a bar: it is not nothing. */
export function Chart({ bars, part, measure }: Props) {
  const values = bars.map((bar) => amountOf(bar, measure));
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const step = WIDTH / Math.max(1, bars.length);
  const width = Math.max(1, Math.min(step * 0.8, 40));
  const heightOf = (value: number) => (most === 0 ? 0 : (value / most) * (HEIGHT - MARK));
  return (
    <figure className={styles.chart}>
      <figcaption>
        {measure === "cost" ? "Cost" : "Tokens"} by {part} (UTC), at most{" "}
        {measure === "cost" ? formatCost(most) : formatCount(most)}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <defs>
          <pattern
            id="unknown-cost"
            width="6"
            height="6"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect width="2" height="6" className={styles.hatch} />
          </pattern>
        </defs>
        <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} className={styles.base} />
        {bars.map((bar, index) => {
          const value = values[index];
          if (bar.totals === undefined) return null;
          const x = index * step + (step - width) / 2;
          const unknown = measure === "cost" && !bar.totals.complete;
          const height = Math.max(1, heightOf(value ?? 0));
          return (
            <g key={bar.at}>
              {value === null ? null : (
                <rect x={x} y={HEIGHT - height} width={width} height={height} className={styles.fill} />
              )}
              {unknown ? (
                <rect x={x} y={HEIGHT - height - 14} width={width} height={12} fill="url(#unknown-cost)" />
              ) : null}
              <title>{`${nameOf(bar, part)}: ${textOf(bar, measure)}`}</title>
            </g>
          );
        })}
      </svg>
      <div className={styles.axis} aria-hidden="true">
        <span>{bars[0] === undefined ? "" : nameOf(bars[0], part)}</span>
        <span>{bars.length < 2 ? "" : nameOf(bars.at(-1) as Bar, part)}</span>
      </div>
      <table className="visually-hidden">
        <caption>
          {measure === "cost" ? "Cost" : "Tokens"} by {part}
        </caption>
        <tbody>
          {bars
            .filter((bar) => bar.totals !== undefined)
            .map((bar) => (
              <tr key={bar.at}>
                <th scope="row">{nameOf(bar, part)}</th>
                <td>{textOf(bar, measure)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </figure>
  );
}

function amountOf({ totals }: Bar, measure: Props["measure"]): number | null {
  if (totals === undefined) return 0;
  if (measure === "tokens") return tokensOf(totals);
  return totals.cost_usd === null ? null : Number(totals.cost_usd);
}

function textOf({ totals }: Bar, measure: Props["measure"]): string {
  if (totals === undefined) return "";
  return measure === "tokens"
    ? `${formatCount(tokensOf(totals))} tokens`
    : formatCost(totals.cost_usd, totals.complete);
}

function nameOf(bar: Bar, part: Props["part"]): string {
  const moment = new Date(bar.start).toISOString();
  return part === "day" ? moment.slice(0, 10) : `${moment.slice(5, 10)} ${moment.slice(11, 16)}`;
}
