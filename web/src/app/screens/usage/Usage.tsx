import { type UsageLine, useGetUsageQuery } from "@runstone/react";
import { useMemo, useState } from "react";
import { Button } from "../../design/Button.tsx";
import { useNow } from "../../design/Clock.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { formatCost, formatCount, formatWhole } from "../../format/numbers.ts";
import { tokensOf } from "../../format/runs.ts";
import { lineText, visible } from "../../format/visible.ts";
import { choice, texts } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptElement } from "../../shell/places.ts";
import { barsOf, csvOf, partOf, RANGES, type Range, sinceOf } from "./buckets.ts";
import { Chart } from "./Chart.tsx";
import styles from "./Usage.module.css";

const DIMENSIONS = ["model", "agent", "workflow", "provider"] as const;
const SCHEMA = {
  range: choice(RANGES),
  by: choice(DIMENSIONS),
  measure: choice(["cost", "tokens"]),
  model: texts,
  agent: texts,
  workflow: texts,
  provider: texts,
};
const STILL_FRESH = { pollingInterval: 30_000, skipPollingIfUnfocused: true };
const RANGE_NAMES: Record<Range, string> = {
  "24h": "24 hours",
  "7d": "7 days",
  "30d": "30 days",
  "90d": "90 days",
  all: "all",
};

/** What was spent: over time, and by model, agent, workflow or provider. */
export default function Usage() {
  const [state, set] = useUrlState(SCHEMA);
  const scroller = useKeptElement<HTMLDivElement>("usage");
  const now = Math.floor(useNow() / 60_000) * 60_000;
  const since = sinceOf(state.range, now);
  const filters = {
    ...(since !== undefined && { since }),
    ...Object.fromEntries(
      DIMENSIONS.filter((name) => state[name].length > 0).map((name) => [name, state[name]]),
    ),
  };
  const part = partOf(state.range);
  const overTime = useGetUsageQuery({ by: [part], ...filters }, STILL_FRESH);
  const by = useGetUsageQuery({ by: [state.by], ...filters }, STILL_FRESH);
  const bars = useMemo(
    () => barsOf(overTime.data ?? [], state.range, now),
    [overTime.data, state.range, now],
  );
  const lines = by.data ?? [];
  const error = by.error ?? overTime.error;
  return (
    <div ref={scroller} className={styles.screen}>
      <h1 className="visually-hidden">Usage</h1>
      <div className={styles.bar}>
        <Choice
          name="Time"
          words={RANGES}
          value={state.range}
          label={(one) => RANGE_NAMES[one]}
          onChange={(range) => set({ range }, { push: true })}
        />
        <Choice
          name="By"
          words={DIMENSIONS}
          value={state.by}
          onChange={(one) => set({ by: one }, { push: true })}
        />
        <Choice
          name="Measure"
          words={["cost", "tokens"] as const}
          value={state.measure}
          onChange={(measure) => set({ measure }, { push: true })}
        />
        {DIMENSIONS.flatMap((name) =>
          state[name].map((value) => (
            <Button
              key={`${name} ${value}`}
              aria-label={`Remove the filter ${name} ${visible(value)}`}
              onClick={() => set({ [name]: state[name].filter((one) => one !== value) }, { push: true })}
            >
              {name}: {lineText(value)} ✕
            </Button>
          )),
        )}
        <span className={styles.space} />
        <CopyCsv text={() => csvOf([state.by], lines)} />
      </div>
      {error !== undefined && by.data === undefined ? (
        <ProblemNotice error={error} />
      ) : lines.length === 0 ? (
        <Notice title={by.isLoading ? "Loading…" : "Nothing was spent in this time."} />
      ) : (
        <>
          <Sums lines={lines} />
          <Chart bars={bars} part={part} measure={state.measure} />
          <Table
            lines={lines}
            by={state.by}
            onFilter={(value) =>
              set({ [state.by]: [...new Set([...state[state.by], value])] }, { push: true })
            }
          />
        </>
      )}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  name: string;
  words: readonly T[];
  value: T;
  label?: (word: T) => string;
  onChange: (word: T) => void;
}

function Choice<T extends string>({ name, words, value, label, onChange }: ChoiceProps<T>) {
  return (
    <label className={styles.choice}>
      {name}
      <select value={value} onChange={(event) => onChange(event.target.value as T)}>
        {words.map((word) => (
          <option key={word} value={word}>
            {label?.(word) ?? word}
          </option>
        ))}
      </select>
    </label>
  );
}

/** All of it; a cost that is not known of some requests is a lower bound, and one that is known of none is unknown. */
function Sums({ lines }: { lines: readonly UsageLine[] }) {
  const known = lines.filter((line) => line.totals.cost_usd !== null);
  const cost = known.reduce((sum, line) => sum + Number(line.totals.cost_usd), 0);
  const complete = lines.every((line) => line.totals.complete);
  const requests = lines.reduce((sum, line) => sum + (line.totals.requests ?? 0), 0);
  return (
    <>
      <dl className={styles.sums}>
        <div>
          <dt>Cost</dt>
          <dd>{formatCost(known.length === 0 ? null : cost, complete)}</dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd>{formatCount(lines.reduce((sum, line) => sum + tokensOf(line.totals), 0))}</dd>
        </div>
        <div>
          <dt>Requests</dt>
          <dd>{formatCount(requests)}</dd>
        </div>
      </dl>
      {complete ? null : (
        <p className={styles.note}>The cost of some requests is unknown: ≥ is what is known of it.</p>
      )}
    </>
  );
}

interface TableProps {
  lines: readonly UsageLine[];
  by: string;
  onFilter: (value: string) => void;
}

function Table({ lines, by, onFilter }: TableProps) {
  return (
    <div className={styles.tableBox}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">{by}</th>
            <th scope="col">Cost</th>
            <th scope="col">Requests</th>
            <th scope="col">Input</th>
            <th scope="col">Cache read</th>
            <th scope="col">Cache write</th>
            <th scope="col">Output</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ by: names, totals }) => {
            const name = names[by] ?? null;
            return (
              <tr key={name ?? ""}>
                <th scope="row">
                  {name === null ? (
                    <span className={styles.note}>none</span>
                  ) : (
                    <button
                      type="button"
                      className={styles.name}
                      title={`Only ${visible(name)}`}
                      onClick={() => onFilter(name)}
                    >
                      {visible(name)}
                    </button>
                  )}
                </th>
                <td className={totals.cost_usd === null ? styles.note : undefined}>
                  {formatCost(totals.cost_usd, totals.complete)}
                </td>
                <td>{formatWhole(totals.requests ?? 0)}</td>
                <td>{formatWhole(totals.input_tokens)}</td>
                <td>{formatWhole(totals.cache_read_tokens)}</td>
                <td>{formatWhole(totals.cache_write_tokens)}</td>
                <td>{formatWhole(totals.output_tokens)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function CopyCsv({ text }: { text: () => string }) {
  const [copied, setCopied] = useState("");
  return (
    <>
      <span role="status" className={styles.note}>
        {copied}
      </span>
      <Button
        onClick={() =>
          navigator.clipboard.writeText(text()).then(
            () => setCopied("copied"),
            () => setCopied("the browser does not let it be copied"),
          )
        }
      >
        Copy as CSV
      </Button>
    </>
  );
}
