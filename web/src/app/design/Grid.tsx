import { type KeyboardEvent, memo, type ReactNode, useCallback, useEffect, useMemo, useRef } from "react";
import styles from "./Grid.module.css";
import { lineByKey } from "./lineKeys.ts";
import { useLines } from "./useLines.ts";
import { useNarrow } from "./useNarrow.ts";

export interface Column<T> {
  name: string;
  /** A track of CSS grid, where the page is wide. */
  width: string;
  cell: (row: T) => ReactNode;
  align?: "end";
  /** Where the page is narrow: in the first line, in the second, or left out. */
  narrow?: "first" | "second";
}

export interface Row<T> {
  key: string;
  value: T;
  /** In a tree: how deep, from 1, and whether what is below it is shown (undefined: nothing is). */
  level?: number;
  expanded?: boolean;
  /** Stands for the whole row: the head of a group, or what leads to more of it. */
  head?: ReactNode;
}

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly Row<T>[];
  /** How many there are in all, if more can be fetched. */
  total?: number;
  selected: string | null;
  onSelect: (key: string) => void;
  onOpen?: (key: string) => void;
  onPeek?: (key: string) => void;
  onToggle?: (key: string, expanded: boolean) => void;
  /** Called when the last rows come into view. */
  onEnd?: () => void;
  /** Rows of a tree are a treegrid for who can't see the lines. */
  tree?: boolean;
  /** Rows are in groups, each below its head: they are no deeper than it. */
  grouped?: boolean;
  /** Lines of text: low, without a head, and the same on a narrow page. */
  dense?: boolean;
  /** Where it was scrolled to, and is told when that changes. */
  scroll?: { top: number; onScroll: (top: number) => void };
}

const HEIGHT = { wide: 32, narrow: 54, dense: 24 };
const OVERSCAN = 6;

/** Rows and columns of which only what is in view is in the page. One row is in the order of Tab; arrows, or j and k,
 * move it. What scrolls is the grid itself, so that its head stays and its rows count from its top.
 */
export function Grid<T>(props: Props<T>) {
  const { label, columns, rows, selected, tree = false, dense = false, grouped = false } = props;
  const narrow = useNarrow() && !dense;
  const scroller = useRef<HTMLDivElement>(null);
  const height = dense ? HEIGHT.dense : narrow ? HEIGHT.narrow : HEIGHT.wide;
  const lines = useLines({
    count: rows.length,
    height,
    scroller,
    overscan: OVERSCAN,
    initialTop: props.scroll?.top ?? 0,
    onScroll: (box) => props.scroll?.onScroll(box.scrollTop),
  });
  const items = rows.slice(lines.first, lines.last);
  // Rows keep to the same functions, so that those whose content did not change are not drawn again.
  const given = useRef(props);
  given.current = props;
  const onSelect = useCallback((key: string) => given.current.onSelect(key), []);
  const onOpen = useCallback((key: string) => given.current.onOpen?.(key), []);
  const onToggle = useCallback(
    (key: string, expanded: boolean) => given.current.onToggle?.(key, expanded),
    [],
  );
  const { onEnd } = props;
  useEffect(() => {
    if (rows.length > 0 && lines.last >= rows.length) onEnd?.();
  }, [lines.last, rows.length, onEnd]);
  const at = rows.findIndex((row) => row.key === selected);
  const active = Math.max(0, at);

  const move = (to: number) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (row === undefined) return;
    props.onSelect(row.key);
    lines.scrollTo(rows.indexOf(row));
    requestAnimationFrame(() => {
      const node = scroller.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`);
      node?.focus({ preventScroll: true });
    });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest("input, textarea, select, button") !== null)
      return;
    const row = rows[active];
    const to = lineByKey(event.key, active, rows.length, lines.inView);
    if (to !== undefined) move(to);
    else if (row === undefined) return;
    else if (event.key === "Enter") props.onOpen?.(row.key);
    else if (event.key === " ") props.onPeek?.(row.key);
    else if (event.key === "ArrowRight" && row.expanded === false) props.onToggle?.(row.key, true);
    else if (event.key === "ArrowLeft" && row.expanded === true) props.onToggle?.(row.key, false);
    else if (event.key === "ArrowLeft" && row.level !== undefined && row.level > 1) {
      const parent = rows.slice(0, active).findLastIndex((one) => (one.level ?? 1) < (row.level ?? 1));
      move(parent);
    } else return;
    event.preventDefault();
  };

  const shown = useMemo(
    () => (narrow ? columns.filter((column) => column.narrow !== undefined) : columns),
    [narrow, columns],
  );
  const template = narrow ? undefined : columns.map((column) => column.width).join(" ");
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it has a role, which one depends on the rows
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: as above
    <div
      ref={scroller}
      className={styles.scroller}
      onKeyDown={onKeyDown}
      role={tree || grouped ? "treegrid" : "grid"}
      aria-label={label}
      aria-rowcount={(props.total ?? rows.length) + 1}
      aria-colcount={shown.length}
      tabIndex={rows.length === 0 ? 0 : -1}
    >
      <div
        className={`${styles.head} ${narrow || dense ? "visually-hidden" : ""}`}
        role="row"
        aria-rowindex={1}
        style={{ gridTemplateColumns: template }}
      >
        {shown.map((column) => (
          <div key={column.name} role="columnheader" className={column.align === "end" ? styles.end : ""}>
            {column.name}
          </div>
        ))}
      </div>
      <div role="rowgroup" className={styles.rows} style={{ height: lines.total }}>
        {items.map((row, at) => {
          const index = lines.first + at;
          return (
            <KeptRow
              key={row.key}
              row={row}
              index={index}
              start={index * height}
              height={height}
              template={template}
              columns={shown}
              narrow={narrow}
              dense={dense}
              grouped={grouped}
              isActive={index === active}
              isSelected={row.key === selected}
              onSelect={onSelect}
              onOpen={onOpen}
              onToggle={onToggle}
            />
          );
        })}
      </div>
    </div>
  );
}

interface RowProps<T> {
  onSelect: (key: string) => void;
  onOpen: (key: string) => void;
  onToggle: (key: string, expanded: boolean) => void;
  row: Row<T>;
  index: number;
  start: number;
  height: number;
  template: string | undefined;
  columns: readonly Column<T>[];
  narrow: boolean;
  dense: boolean;
  grouped: boolean;
  isActive: boolean;
  isSelected: boolean;
}

function GridRow<T>({ row, columns, narrow, onSelect, onOpen, onToggle, ...at }: RowProps<T>) {
  const isNested = row.level !== undefined && !at.grouped;
  const cell = (column: Column<T>, index: number) => (
    <div
      key={column.name}
      role="gridcell"
      className={`${styles.cell} ${column.align === "end" && !narrow ? styles.end : ""}`}
      style={index === 0 && isNested ? { paddingInlineStart: indent(row.level ?? 1) } : undefined}
    >
      {index === 0 && isNested ? (
        <Toggle expanded={row.expanded} onClick={() => onToggle(row.key, !row.expanded)} />
      ) : null}
      {column.cell(row.value)}
    </div>
  );
  const line = (wanted: "first" | "second") => (
    <div role="none" className={styles[wanted]}>
      {columns.map((column, index) => (column.narrow === wanted ? cell(column, index) : null))}
    </div>
  );
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around it takes the keys
    <div
      role="row"
      className={`${styles.row} ${narrow ? styles.narrow : ""} ${at.dense ? styles.dense : ""} ${row.head === undefined ? "" : styles.group}`}
      data-key={row.key}
      aria-rowindex={at.index + 2}
      aria-selected={at.isSelected}
      aria-level={row.level}
      aria-expanded={row.expanded}
      tabIndex={at.isActive ? 0 : -1}
      style={{ height: at.height, transform: `translateY(${at.start}px)`, gridTemplateColumns: at.template }}
      onFocus={(event) => (event.target === event.currentTarget ? onSelect(row.key) : undefined)}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest("a, button, input") !== null) return;
        onSelect(row.key);
        onOpen(row.key);
      }}
    >
      {row.head === undefined ? (
        <>
          {narrow ? line("first") : columns.map(cell)}
          {narrow ? line("second") : null}
        </>
      ) : (
        <div role="gridcell" className={styles.headCell} aria-colspan={columns.length}>
          {row.head}
        </div>
      )}
    </div>
  );
}

/** A row that is drawn again only when something of it is another one; who gives rows makes them anew each time. */
const KeptRow = memo(GridRow, (before, after) => {
  const names = Object.keys(after) as (keyof typeof after)[];
  return (
    names.every((name) => name === "row" || Object.is(before[name], after[name])) &&
    isSameRow(before.row, after.row)
  );
}) as typeof GridRow;

function isSameRow(a: Row<unknown>, b: Row<unknown>): boolean {
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.level === b.level &&
    a.expanded === b.expanded &&
    a.head === b.head
  );
}

function Toggle({ expanded, onClick }: { expanded: boolean | undefined; onClick: () => void }) {
  if (expanded === undefined) return <span className={styles.noToggle} />;
  return (
    <button
      type="button"
      tabIndex={-1}
      className={styles.toggle}
      onClick={onClick}
      aria-label={expanded ? "Fold" : "Unfold"}
    >
      {expanded ? "▾" : "▸"}
    </button>
  );
}

function indent(level: number): string {
  return `${Math.min(level - 1, 12) * 1.1}rem`;
}
