import { type StateChange, useGetStateDiffQuery } from "@runstone/react";
import { useState } from "react";
import { Button } from "../../../design/Button.tsx";
import { Notice, ProblemNotice } from "../../../design/Notice.tsx";
import { formatBytes, formatWhole } from "../../../format/numbers.ts";
import { visible } from "../../../format/visible.ts";
import styles from "./Checkpoints.module.css";

/** Larger values of a change are told by their size. */
const VALUE_BYTES = 8 * 1024;
const FIRST_CHANGES = 100;
const MOST_LINES = 200;
const LINE_CHARS = 400;
const SIGNS = { added: "+", removed: "−", changed: "±", moved: "↷" } as const;

/** What differs from one state to another: fields, items, and texts by lines. */
export function Difference({ runId, before, after }: { runId: string; before: number; after: number }) {
  const [all, setAll] = useState(false);
  const { data, error } = useGetStateDiffQuery({
    runId,
    number: after,
    against: before,
    maxBytes: VALUE_BYTES,
  });
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  if (data.changes.length === 0)
    return <Notice title={`Nothing differs from checkpoint ${before} to ${after}.`} />;
  const shown = all ? data.changes : data.changes.slice(0, FIRST_CHANGES);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <section className={styles.difference} aria-label="Differences" tabIndex={0}>
      <p className={styles.quiet} role="status">
        From checkpoint {before} to {after}: {formatWhole(data.changes.length)}
        {data.more ? " and more" : ""} {data.changes.length === 1 ? "difference" : "differences"}
      </p>
      <ol className={styles.changes}>
        {shown.map((change, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a path may stand twice; their order is what tells them apart
          <Change key={index} change={change} />
        ))}
      </ol>
      {shown.length < data.changes.length ? (
        <Button onClick={() => setAll(true)}>All {formatWhole(data.changes.length)}</Button>
      ) : null}
    </section>
  );
}

function Change({ change }: { change: StateChange }) {
  const lines = change.text ?? [];
  return (
    <li className={styles.change} data-action={change.action}>
      <div className={styles.place}>
        <span className={styles.action}>
          <span aria-hidden="true">{SIGNS[change.action]} </span>
          {change.action}
        </span>
        <code>{visible(change.path) || "(all of it)"}</code>
        {change.moved_to == null ? null : <code>→ {visible(change.moved_to)}</code>}
        <Button look="bare" onClick={() => void navigator.clipboard.writeText(change.path)}>
          Copy path
        </Button>
      </div>
      {lines.length > 0 ? (
        <Lines lines={lines} />
      ) : (
        <>
          <Side sign="−" name="before" value={change.before} bytes={change.before_bytes} />
          <Side sign="+" name="after" value={change.after} bytes={change.after_bytes} />
        </>
      )}
    </li>
  );
}

interface SideProps {
  sign: string;
  name: "before" | "after";
  value: unknown;
  bytes: number | null | undefined;
}

function Side({ sign, name, value, bytes }: SideProps) {
  if (value === undefined && bytes == null) return null;
  const text = bytes == null ? visible(JSON.stringify(value)) : `a value of ${formatBytes(bytes)}`;
  return (
    <code className={styles.text} data-side={name}>
      {sign} <span className="visually-hidden">{name}: </span>
      {text.length > LINE_CHARS
        ? `${text.slice(0, LINE_CHARS)}… ${formatWhole(text.length)} characters`
        : text}
    </code>
  );
}

/** A unified diff; the signs say what the colours do. */
function Lines({ lines }: { lines: readonly string[] }) {
  const side = (line: string) =>
    line.startsWith("+") ? "after" : line.startsWith("-") ? "before" : undefined;
  return (
    <>
      {lines.slice(0, MOST_LINES).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name than their place
        <code key={index} className={styles.text} data-side={side(line)}>
          {visible(line.slice(0, LINE_CHARS))}
          {line.length > LINE_CHARS ? "…" : ""}
        </code>
      ))}
      {lines.length > MOST_LINES ? (
        <span className={styles.quiet}>and {formatWhole(lines.length - MOST_LINES)} lines more</span>
      ) : null}
    </>
  );
}
