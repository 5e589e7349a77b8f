import { type TimelineRow, type ToolCall, useToolCalls } from "@runstone/react";
import { Link } from "wouter";
import { Button } from "../../../design/Button.tsx";
import { StatusBadge } from "../../../design/StatusBadge.tsx";
import { formatDuration } from "../../../format/durations.ts";
import { formatClock } from "../../../format/times.ts";
import { lineText } from "../../../format/visible.ts";
import { rowName, spanLabel } from "./rows.ts";
import styles from "./Timeline.module.css";

const CALLS_SHOWN = 200;

/** What one run of the timeline did: the parts of its life, and each call of a tool as soon as its events are there. */
export function RunSpans({ row, now, onClose }: { row: TimelineRow; now: number; onClose: () => void }) {
  const { calls } = useToolCalls(row.run_id, row.status);
  return (
    <section className={styles.detail} aria-label={`Times of ${rowName(row)}`}>
      <div className={styles.detailHead}>
        <StatusBadge status={row.status} />
        <Link href={`/runs/${encodeURIComponent(row.run_id)}`}>{rowName(row)}</Link>
        {row.partial ? <span className={styles.quiet}>its beginning is left out</span> : null}
        <span className={styles.space} />
        <Button look="bare" aria-label="Close the times" onClick={onClose}>
          ✕
        </Button>
      </div>
      <ul className={styles.facts}>
        {row.spans.map((span, index) => (
          <li key={`${span.kind} ${span.start}`}>
            <code>{formatClock(span.start)}</code>{" "}
            {spanLabel(span, index === row.spans.length - 1, row.status, now)}
          </li>
        ))}
        {calls.slice(-CALLS_SHOWN).map((call) => (
          <li key={`${call.attempt} ${call.callId}`}>
            <code>{formatClock(call.startedAt)}</code>{" "}
            <Link href={`/runs/${encodeURIComponent(row.run_id)}?tab=events&level=all&event=${call.seq}`}>
              {callLabel(call)}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** `tool search, 1.2 s, failed: connection reset`. */
export function callLabel(call: ToolCall): string {
  const took = call.elapsedMs === undefined ? "" : `, ${formatDuration(call.elapsedMs)}`;
  const why = call.error === undefined ? "" : `: ${lineText(call.error)}`;
  return `tool ${lineText(call.toolName)}${took}, ${call.status}${why}`;
}
