import type { EventWindow, RunEvent } from "@runstone/react";
import { type KeyboardEvent, memo, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Button } from "../../design/Button.tsx";
import { lineByKey } from "../../design/lineKeys.ts";
import { useLines } from "../../design/useLines.ts";
import { useNarrow } from "../../design/useNarrow.ts";
import { formatWhole } from "../../format/numbers.ts";
import { formatClock } from "../../format/times.ts";
import { keepPlace } from "../../shell/places.ts";
import styles from "./Events.module.css";
import { countAfter, eventLine } from "./eventLines.ts";

const HEIGHTS = { wide: 26, narrow: 44 };
/** So near to the end, who scrolls there wants to stay there. */
const NEAR_PX = 4;
const STEPS = new Set(["ArrowDown", "j", "ArrowUp", "k"]);
/** Keys that leave the end. */
const LEAVING = new Set(["PageUp", "Home", "ArrowUp", "k"]);

/** Where the list was left: at an event, or at the end; what was chosen, and the newest that had been seen. */
export interface Place {
  at: { seq: number; offset: number } | null;
  selected: number | null;
  seen: number;
}

interface Props {
  /** The name under which its place is kept, and the place where it was left, if somebody comes back. */
  name: string;
  left: Place | null;
  window: EventWindow;
  version: number;
  selected: number | null;
  onSelect: (seq: number) => void;
}

/** The lines of what a window has. It tells the window where somebody looks, so that this is read. */
export function EventList({ name, left, window, version, selected, onSelect }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(left === null ? selected === null : left.at === null);
  const seen = useRef(left?.seen ?? 0);
  const top = useRef(left?.at ?? null);
  const rows = window.rows;
  const height = useNarrow() ? HEIGHTS.narrow : HEIGHTS.wide;
  const lines = useLines({
    count: rows,
    height,
    scroller,
    overscan: 8,
    atEnd: follows,
    onScroll: (box) => {
      const index = Math.floor(box.scrollTop / height);
      const event = window.at(index);
      top.current = event === undefined ? null : { seq: event.seq, offset: box.scrollTop - index * height };
      const isEnd = window.isAtEnd && box.scrollHeight - box.scrollTop - box.clientHeight <= NEAR_PX;
      setFollows(isEnd);
      keep(isEnd ? null : top.current);
    },
  });
  const { first, last, scrollToTop, scrollTo } = lines;
  // A link to an event goes there once it is known; who comes back with the same one chosen, to where it was left.
  const wanted = useRef(left === null ? selected : null);
  const isBack = useRef(left === null || left.at === null);
  const keep = (at: Place["at"]) => {
    if (wanted.current !== null || !isBack.current) return;
    keepPlace(name, at === null && selected === null ? undefined : { at, selected, seen: seen.current });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about what came, not about where it is looked
  useLayoutEffect(() => {
    const at = wanted.current === null ? -1 : window.rowOf(wanted.current);
    if (at >= 0) {
      wanted.current = null;
      scrollTo(at, "center");
    } else if (!follows && top.current !== null && !(window.isWhole && isBack.current)) {
      // What came before what is looked at, or was let go there, must not move it.
      const index = window.rowOf(top.current.seq);
      if (index >= 0) scrollToTop(index * height + top.current.offset);
      isBack.current ||= index >= 0;
    }
  }, [window, version]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about what is chosen now
  useEffect(() => keep(follows ? null : top.current), [selected, name]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each change there may be more to read
  useEffect(() => window.look(first, last, follows), [window, version, first, last, follows]);
  if (follows || seen.current === 0) seen.current = window.end;
  const unseen = window.isWhole
    ? window.end - seen.current
    : countAfter(window.events, seen.current) + window.beyond;
  const toEnd = () => {
    if (!window.isAtEnd) window.goTo(window.end);
    setFollows(true);
  };
  const pick = useRef(onSelect);
  pick.current = onSelect;
  const onPick = useCallback((seq: number) => pick.current(seq), []);
  const leave = () => setFollows(false);
  const onKeyDown = (event: KeyboardEvent) => {
    if (LEAVING.has(event.key)) leave();
    // Page and end move what is in view; what is chosen moves by steps.
    if (!STEPS.has(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    const from = selected === null ? rows : window.rowOf(selected);
    const to = lineByKey(event.key, from, rows, lines.inView) ?? from;
    const next = window.at(Math.max(0, Math.min(rows - 1, to)));
    if (next === undefined) return;
    event.preventDefault();
    leave();
    onSelect(next.seq);
    scrollTo(window.rowOf(next.seq));
  };
  return (
    <div className={styles.listBox}>
      <div
        ref={scroller}
        className={styles.list}
        role="log"
        aria-live="off"
        aria-label="Events"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
        onKeyDown={onKeyDown}
        onWheel={(event) => (event.deltaY < 0 ? leave() : undefined)}
        onTouchMove={leave}
      >
        <div className={styles.rows} style={{ height: lines.total }}>
          {Array.from({ length: last - first }, (_, at) => {
            const index = first + at;
            const event = window.at(index);
            const seq = event?.seq ?? window.first + index;
            return (
              <EventRow
                key={seq}
                event={event}
                seq={seq}
                start={index * height}
                isSelected={seq === selected}
                onPick={onPick}
              />
            );
          })}
        </div>
      </div>
      {unseen > 0 ? (
        <Button className={styles.news} look="primary" onClick={toEnd}>
          {formatWhole(unseen)} new ↓
        </Button>
      ) : null}
    </div>
  );
}

interface RowProps {
  event: RunEvent | undefined;
  seq: number;
  start: number;
  isSelected: boolean;
  onPick: (seq: number) => void;
}

/** A line; of an event that is still to be read, its number. */
const EventRow = memo(function EventRow({ event, seq, start, isSelected, onPick }: RowProps) {
  return (
    <button
      type="button"
      tabIndex={-1}
      className={styles.row}
      data-level={event?.importance}
      aria-pressed={isSelected}
      style={{ transform: `translateY(${start}px)` }}
      onClick={() => onPick(seq)}
    >
      <span className={styles.seq}>{seq}</span>
      {event === undefined ? (
        <span>…</span>
      ) : (
        <>
          <time dateTime={event.timestamp}>{formatClock(event.timestamp)}</time>
          <span className={styles.type}>{event.type}</span>
          <span className={styles.text}>{eventLine(event)}</span>
        </>
      )}
    </button>
  );
});
