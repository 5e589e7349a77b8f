import {
  type ComparedPair,
  type ComparedPart,
  type ComparedPhase,
  type ComparedRun,
  type Comparison,
  useGetComparisonQuery,
  type ValueDiff,
} from "@runstone/react";
import { type FormEvent, useState } from "react";
import { Link } from "wouter";
import { Button } from "../../design/Button.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { StatusBadge } from "../../design/StatusBadge.tsx";
import { formatDuration } from "../../format/durations.ts";
import { formatCost, formatCount } from "../../format/numbers.ts";
import { shortId } from "../../format/runs.ts";
import { lineText, visible } from "../../format/visible.ts";
import { flag, text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptElement } from "../../shell/places.ts";
import styles from "./Compare.module.css";
import { costChange, durationChange, valueText } from "./differences.ts";

const SCHEMA = { a: text, b: text, all: flag };
const PAIRS_SHOWN = 300;

/** Two runs side by side: what differs in input, result, tokens, cost and time, by phase and by child. */
export default function Compare() {
  const [{ a, b, all }, set] = useUrlState(SCHEMA);
  const scroller = useKeptElement<HTMLDivElement>(`compare:${a} ${b}`);
  const { data, error } = useGetComparisonQuery({ a, ...(b !== "" && { b }) }, { skip: a === "" });
  return (
    <div ref={scroller} className={styles.screen}>
      <h1 className={styles.title}>Compare two runs</h1>
      <Which a={data?.a.run_id ?? a} b={data?.b.run_id ?? b} onChange={(pair) => set(pair, { push: true })} />
      {a === "" ? (
        <Notice title="Name a run, and another one.">
          <p>With one alone, a fork is compared with its source, and a source with its newest fork.</p>
        </Notice>
      ) : data === undefined ? (
        error === undefined ? (
          <Notice title="Loading…" />
        ) : (
          <ProblemNotice error={error} />
        )
      ) : (
        <Both found={data} all={all} onAll={() => set({ all: !all }, { push: true })} />
      )}
    </div>
  );
}

function Which({
  a,
  b,
  onChange,
}: {
  a: string;
  b: string;
  onChange: (pair: { a: string; b: string }) => void;
}) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    onChange({ a: String(given.get("a") ?? "").trim(), b: String(given.get("b") ?? "").trim() });
  };
  return (
    <form key={`${a} ${b}`} className={styles.which} onSubmit={submit}>
      <label>
        A <input name="a" defaultValue={a} placeholder="id of a run" />
      </label>
      <label>
        B <input name="b" defaultValue={b} placeholder="id of another" />
      </label>
      <Button type="submit">Compare</Button>
      <Button onClick={() => onChange({ a: b, b: a })} disabled={a === "" || b === ""}>
        Swap
      </Button>
    </form>
  );
}

function Both({ found, all, onAll }: { found: Comparison; all: boolean; onAll: () => void }) {
  const { counts } = found;
  const told = [
    [counts.changed, "changed"],
    [counts.only_a, "only in A"],
    [counts.only_b, "only in B"],
    [counts.same, "the same"],
  ].flatMap(([count, word]) => (count === undefined || count === 0 ? [] : [`${count} ${word}`]));
  return (
    <>
      <p role="status" className={styles.verdict}>
        {found.same
          ? "Input, result, state and all parts are the same."
          : `Parts: ${told.join(", ") || "none"}.`}
        {isForkOf(found) ? " B is a fork of A." : ""}
      </p>
      <Facts a={found.a} b={found.b} />
      <Difference name="Input" diff={found.input} />
      <Difference name="Result" diff={found.result} />
      <div className={styles.partsHead}>
        <h2>Phases and parts</h2>
        <Button aria-pressed={!all} onClick={onAll}>
          Only what differs
        </Button>
      </div>
      {found.phases.map((phase) => (
        <PhaseParts key={phase.name ?? ""} phase={phase} pairs={found.pairs} all={all} />
      ))}
      {found.more > 0 ? <p className={styles.quiet}>{found.more} more parts differ.</p> : null}
    </>
  );
}

function isForkOf({ a, b }: Comparison): boolean {
  return b.forked_from === a.run_id;
}

function Facts({ a, b }: { a: ComparedRun; b: ComparedRun }) {
  const rows: [string, React.ReactNode, React.ReactNode, string][] = [
    ["State", <StatusBadge key="a" status={a.status} />, <StatusBadge key="b" status={b.status} />, ""],
    ["Definition", nameOf(a), nameOf(b), nameOf(a) === nameOf(b) ? "" : "another one"],
    [
      "Time",
      formatDuration(a.elapsed_ms),
      formatDuration(b.elapsed_ms),
      durationChange(a.elapsed_ms, b.elapsed_ms),
    ],
    ["Tokens", formatCount(a.tokens), formatCount(b.tokens), countChange(a.tokens, b.tokens)],
    [
      "Cost",
      formatCost(costOf(a), a.cost_complete),
      formatCost(costOf(b), b.cost_complete),
      costChange(costOf(a), costOf(b)),
    ],
    ["Attempts", a.attempts, b.attempts, countChange(a.attempts, b.attempts)],
  ];
  if (a.error !== null || b.error !== null)
    rows.push(["Error", lineText(a.error ?? ""), lineText(b.error ?? ""), ""]);
  return (
    <div className={styles.tableBox}>
      <table className={styles.table}>
        <thead>
          <tr>
            <td />
            <th scope="col">
              A <RunLink run={a} />
            </th>
            <th scope="col">
              B <RunLink run={b} />
            </th>
            <th scope="col">B − A</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, one, other, change]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{one}</td>
              <td>{other}</td>
              <td className={styles.change}>{change}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RunLink({ run }: { run: ComparedRun }) {
  return (
    <Link href={`/runs/${encodeURIComponent(run.run_id)}`} title={run.run_id}>
      <code>{shortId(run.run_id)}</code>
    </Link>
  );
}

function nameOf(run: ComparedRun): string {
  return [run.name, run.version?.slice(0, 8)].filter((one) => one != null).join(" ");
}

/** No cost is known where nothing is priced: that is not $0. */
function costOf(side: { cost_usd: string; cost_complete?: boolean }): string | null {
  return Number(side.cost_usd) === 0 && side.cost_complete === false ? null : side.cost_usd;
}

function countChange(a: number, b: number): string {
  return a === b ? "" : `${b > a ? "+" : "−"}${formatCount(Math.abs(b - a))}`;
}

/** What came, went, changed or moved between two values. */
function Difference({ name, diff }: { name: string; diff: ValueDiff | null }) {
  if (diff === null || diff.changes.length === 0)
    return (
      <section className={styles.part}>
        <h2>{name}</h2>
        <p className={styles.quiet}>The same in both.</p>
      </section>
    );
  return (
    <section className={styles.part}>
      <h2>{name}</h2>
      <Changes diff={diff} />
    </section>
  );
}

function Changes({ diff }: { diff: ValueDiff }) {
  return (
    <ul className={styles.changes}>
      {diff.changes.slice(0, PAIRS_SHOWN).map((change) => (
        <li key={`${change.action} ${change.path}`}>
          <span className={styles.action} data-action={change.action}>
            {change.action}
          </span>{" "}
          <code>{change.path === "" ? "all of it" : visible(change.path)}</code>
          {change.moved_to == null ? null : <code> → {visible(change.moved_to)}</code>}
          {change.text !== undefined && change.text.length > 0 ? (
            <pre className={styles.text}>{visible(change.text.join("\n"))}</pre>
          ) : (
            <div className={styles.values}>
              {"before" in change ? <del>{valueText(change.before)}</del> : null}
              {"after" in change ? <ins>{valueText(change.after)}</ins> : null}
            </div>
          )}
        </li>
      ))}
      {diff.more || diff.changes.length > PAIRS_SHOWN ? <li className={styles.quiet}>… and more</li> : null}
    </ul>
  );
}

const WORDS = { same: "same", changed: "changed", only_a: "only in A", only_b: "only in B" } as const;

function PhaseParts({
  phase,
  pairs,
  all,
}: {
  phase: ComparedPhase;
  pairs: readonly ComparedPair[];
  all: boolean;
}) {
  const own = pairs.filter((pair) => (pair.a ?? pair.b)?.phase === phase.name);
  const shown = own.slice(0, PAIRS_SHOWN);
  const same = phase.counts.same ?? 0;
  const differs = own.length > 0 || phase.a?.status !== phase.b?.status;
  if (!all && !differs) return null;
  return (
    <section className={styles.part} aria-label={visible(phase.name ?? "no phase")}>
      <h3>
        {visible(phase.name ?? "In no phase")}{" "}
        <span className={styles.quiet}>
          {sideText(phase.a)} → {sideText(phase.b)}
        </span>
      </h3>
      <ul className={styles.pairs}>
        {shown.map((pair) => (
          <PairLine
            key={`${pair.a?.child_run_id ?? pair.a?.key} ${pair.b?.child_run_id ?? pair.b?.key}`}
            pair={pair}
          />
        ))}
        {all && same > 0 ? <li className={styles.quiet}>{same} the same</li> : null}
        {own.length > shown.length ? (
          <li className={styles.quiet}>{own.length - shown.length} more differ</li>
        ) : null}
      </ul>
    </section>
  );
}

function sideText(side: ComparedPhase["a"]): string {
  if (side === null) return "not there";
  return [
    side.status ?? "",
    `${side.parts} ${side.parts === 1 ? "part" : "parts"}`,
    side.reused > 0 ? `${side.reused} reused` : "",
    formatDuration(side.elapsed_ms),
    Number(side.cost_usd) > 0 ? formatCost(side.cost_usd) : "",
  ]
    .filter((one) => one !== "")
    .join(", ");
}

function PairLine({ pair }: { pair: ComparedPair }) {
  const [open, setOpen] = useState(false);
  const part = (pair.a ?? pair.b) as ComparedPart;
  const detail = pair.input !== null || pair.result !== null;
  return (
    <li>
      <div className={styles.pair}>
        <span className={styles.action} data-action={pair.standing}>
          {WORDS[pair.standing]}
        </span>
        <b>{lineText(part.title ?? part.name)}</b>
        <PartText part={pair.a} />
        <span aria-hidden="true">→</span>
        <PartText part={pair.b} />
        {detail ? (
          <Button look="bare" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Fold" : "What differs"}
          </Button>
        ) : null}
      </div>
      {open ? (
        <div className={styles.inner}>
          {pair.input === null ? null : <Difference name="Input" diff={pair.input} />}
          {pair.result === null ? null : <Difference name="Result" diff={pair.result} />}
        </div>
      ) : null}
    </li>
  );
}

function PartText({ part }: { part: ComparedPart | null }) {
  if (part === null) return <span className={styles.quiet}>not there</span>;
  const facts = [
    part.reused ? "reused" : "",
    formatDuration(part.elapsed_ms),
    part.tokens > 0 ? `${formatCount(part.tokens)} tokens` : "",
    Number(part.cost_usd) > 0 ? formatCost(part.cost_usd) : "",
  ].filter((one) => one !== "");
  return (
    <span className={styles.partText}>
      <StatusBadge status={part.status} compact />
      {part.child_run_id === null ? (
        part.kind
      ) : (
        <Link href={`/runs/${encodeURIComponent(part.child_run_id)}`}>
          <code>{shortId(part.child_run_id)}</code>
        </Link>
      )}
      <span className={styles.quiet}>{facts.join(" · ")}</span>
    </span>
  );
}
