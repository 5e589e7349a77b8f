import type { TimelineRow } from "@runstone/react";
import { type KeyboardEvent, memo, useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { lineByKey } from "../../../design/lineKeys.ts";
import { StatusBadge } from "../../../design/StatusBadge.tsx";
import { useLines } from "../../../design/useLines.ts";
import { useNarrow } from "../../../design/useNarrow.ts";
import { formatDuration } from "../../../format/durations.ts";
import { visible } from "../../../format/visible.ts";
import { type Axis, placeOf, ticksOf } from "./axis.ts";
import { activityLabel, type Line, rowName, spanLabel, spanLook } from "./rows.ts";
import styles from "./Timeline.module.css";

interface Props {
  lines: readonly Line[];
  axis: Axis;
  now: number;
  selected: string | null;
  onSelect: (id: string) => void;
  onToggle: (id: string, expanded: boolean) => void;
  onEnd: () => void;
  /** Where it was scrolled to, and is told when that changes. */
  scroll: { top: number; onScroll: (top: number) => void };
}

const HEIGHT = { wide: 28, narrow: 48 };
export const LOWEST_ROW_PX = HEIGHT.wide;
const OVERSCAN = 6;

/** The lines; only those in view are in the page. Arrows move along them, Enter opens the run, Tab goes to its bars. */
export function Rows({ lines, axis, now, selected, onSelect, onToggle, onEnd, scroll }: Props) {
  const narrow = useNarrow();
  const [, navigate] = useLocation();
  const scroller = useRef<HTMLDivElement>(null);
  const height = narrow ? HEIGHT.narrow : HEIGHT.wide;
  const seen = useLines({
    count: lines.length,
    height,
    scroller,
    overscan: OVERSCAN,
    initialTop: scroll.top,
    onScroll: (box) => scroll.onScroll(box.scrollTop),
  });
  useEffect(() => {
    if (seen.last >= lines.length) onEnd();
  }, [seen.last, lines.length, onEnd]);
  const active = Math.max(
    0,
    lines.findIndex((line) => line.row.run_id === selected),
  );
  const move = (to: number) => {
    const line = lines[Math.max(0, Math.min(lines.length - 1, to))];
    if (line === undefined) return;
    onSelect(line.row.run_id);
    seen.scrollTo(lines.indexOf(line));
    requestAnimationFrame(() => rowNode(scroller.current, line.row.run_id)?.focus());
  };
  const open = (id: string) => navigate(`/runs/${encodeURIComponent(id)}?tab=timeline`);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onRow = event.target instanceof Element && event.target.getAttribute("role") === "row";
    const line = lines[active];
    const to = lineByKey(event.key, active, lines.length, seen.inView);
    if (to !== undefined) move(to);
    else if (line === undefined || !onRow) return;
    else if (event.key === "Enter") open(line.row.run_id);
    else if (event.key === " ") onSelect(line.row.run_id);
    else if (event.key === "ArrowRight" && line.expanded === false) onToggle(line.row.run_id, true);
    else if (event.key === "ArrowLeft" && line.expanded === true) onToggle(line.row.run_id, false);
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={scroller}
      className={styles.scroller}
      role="treegrid"
      aria-label="Timeline"
      aria-rowcount={lines.length + 1}
      aria-colcount={2}
      onKeyDown={onKeyDown}
    >
      <div role="row" aria-rowindex={1} className={styles.head}>
        <div role="columnheader">Run</div>
        <div role="columnheader" className={styles.ruler} aria-label="Time since the start">
          <Ticks axis={axis} about={narrow ? 4 : 10} labels />
        </div>
      </div>
      <div role="rowgroup" className={styles.lines} style={{ height: seen.total }}>
        {lines.slice(seen.first, seen.last).map((line, at) => {
          const index = seen.first + at;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around it takes the keys
            <div
              key={line.row.run_id}
              role="row"
              data-key={line.row.run_id}
              aria-rowindex={index + 2}
              aria-level={line.level}
              aria-expanded={line.expanded}
              aria-selected={line.row.run_id === selected}
              tabIndex={index === active ? 0 : -1}
              className={styles.line}
              style={{ height, transform: `translateY(${index * height}px)` }}
              onClick={() => onSelect(line.row.run_id)}
              onDoubleClick={() => open(line.row.run_id)}
            >
              <Name line={line} onToggle={onToggle} />
              <Track row={line.row} axis={axis} now={now} reachable={line.row.run_id === selected} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function rowNode(box: HTMLElement | null, id: string): HTMLElement | undefined {
  return [...(box?.querySelectorAll<HTMLElement>("[data-key]") ?? [])].find(
    (node) => node.dataset.key === id,
  );
}

function Name({ line, onToggle }: { line: Line; onToggle: Props["onToggle"] }) {
  const { row } = line;
  return (
    <div
      role="gridcell"
      className={styles.name}
      style={{ paddingInlineStart: `${Math.min(line.level - 1, 10) * 0.8}rem` }}
    >
      {line.expanded === undefined ? (
        <span className={styles.noToggle} />
      ) : (
        <button
          type="button"
          tabIndex={-1}
          className={styles.toggle}
          aria-label={line.expanded ? "Fold" : "Unfold"}
          onClick={(event) => {
            event.stopPropagation();
            onToggle(row.run_id, !line.expanded);
          }}
        >
          {line.expanded ? "▾" : "▸"}
        </button>
      )}
      <StatusBadge status={row.status} compact />
      <span className={styles.text}>{rowName(row)}</span>
      {row.phase === null ? null : <span className={styles.quiet}>{visible(row.phase)}</span>}
      {row.critical && line.level > 1 ? (
        <span className={styles.critical} title="The end of the whole run waited for this one">
          critical
        </span>
      ) : null}
    </div>
  );
}

interface TrackProps {
  row: TimelineRow;
  axis: Axis;
  now: number;
  reachable: boolean;
}

/** The parts of a run's life, at their times. */
const Track = memo(function Track({ row, axis, now, reachable }: TrackProps) {
  const end = row.end === null ? now : Date.parse(row.end);
  const last = placeOf(axis, end);
  return (
    <div role="gridcell" className={styles.track}>
      <Ticks axis={axis} about={10} />
      {row.spans.map((span, index) => {
        const [from, to] = [Date.parse(span.start), span.end === null ? now : Date.parse(span.end)];
        if (to < axis.from || from > axis.to) return null;
        const isLast = index === row.spans.length - 1;
        const label = spanLabel(span, isLast, row.status, now);
        const [a, b] = [placeOf(axis, from), placeOf(axis, to)];
        return (
          <button
            key={`${span.kind} ${span.start}`}
            type="button"
            tabIndex={reachable ? 0 : -1}
            className={styles.span}
            data-kind={spanLook(span, isLast, row.status)}
            style={{ left: `${a * 100}%`, width: `${(b - a) * 100}%` }}
            aria-label={label}
            title={label}
          />
        );
      })}
      {row.activity.map((part) => {
        if (part.tool_calls === 0 && part.tool_failures === 0) return null;
        const [from, to] = [Date.parse(part.start), Date.parse(part.end)];
        if (to < axis.from || from > axis.to) return null;
        return (
          <span
            key={part.start}
            className={styles.tools}
            data-failed={part.tool_failures > 0 || undefined}
            style={{ left: `${placeOf(axis, (from + to) / 2) * 100}%` }}
            title={activityLabel(part)}
          />
        );
      })}
      <span className={styles.took} style={{ left: `${last * 100}%` }}>
        {formatDuration(end - Date.parse(row.start))}
      </span>
    </div>
  );
});

function Ticks({ axis, about, labels = false }: { axis: Axis; about: number; labels?: boolean }) {
  return (
    <>
      {axis.pieces
        .filter((piece) => piece.folded)
        .map((piece) => (
          <span
            key={piece.from}
            className={styles.fold}
            style={{ left: `${piece.x0 * 100}%`, width: `${(piece.x1 - piece.x0) * 100}%` }}
            title={`${formatDuration(piece.to - piece.from)} in which no run worked`}
          />
        ))}
      {ticksOf(axis, about).map((tick) => (
        <span key={tick.time} className={styles.tick} style={{ left: `${tick.place * 100}%` }}>
          {labels ? (tick.time === axis.from ? "0" : formatDuration(tick.time - axis.from)) : null}
        </span>
      ))}
    </>
  );
}
