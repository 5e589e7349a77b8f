import { fieldsOf, type Run, type RunEvent, type RunLog, useRunLog } from "@runstone/react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { Button } from "../../design/Button.tsx";
import { JsonViewer } from "../../design/JsonViewer.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { formatClock } from "../../format/times.ts";
import { lineText } from "../../format/visible.ts";
import { choice, text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { keepPlace, placeOf } from "../../shell/places.ts";
import styles from "./Events.module.css";
import { countAfter, eventLine, hasWord, indexOfSeq, shownEvents } from "./eventLines.ts";

const SCHEMA = { type: text, level: choice(["normal", "all", "high"]), event: text };
const HEIGHT = 26;
/** So near to the end, who scrolls there wants to stay there. */
const NEAR_PX = 4;

/** The events of a run, live. At the end it follows; elsewhere the place is held, whatever comes before or after. */
export default function Events({ run }: { run: Run }) {
  const { log, version } = useRunLog(run.id);
  const [state, set] = useUrlState(SCHEMA);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the log is the same object always; its version tells of news
  const events = useMemo(
    () => shownEvents(log.events, { type: state.type, level: state.level }),
    [log, version, state.type, state.level],
  );
  const chosen =
    state.event === "" ? undefined : log.events.find((event) => event.seq === Number(state.event));
  return (
    <div className={styles.events}>
      <div className={styles.bar}>
        <input
          type="search"
          aria-label="Filter by type or text"
          placeholder="Type or text"
          value={state.type}
          onChange={(event) => set({ type: event.target.value })}
        />
        <label>
          Show
          <select
            value={state.level}
            onChange={(event) => set({ level: event.target.value as typeof state.level }, { push: true })}
          >
            <option value="normal">what matters</option>
            <option value="all">everything</option>
            <option value="high">what needs attention</option>
          </select>
        </label>
        <span className={styles.count}>{countText(log, events.length)}</span>
      </div>
      <div className={styles.body}>
        <EventList
          place={`events:${run.id}:${state.level}:${state.type}`}
          events={events}
          selected={state.event === "" ? null : Number(state.event)}
          onSelect={(seq) => set({ event: String(seq) })}
        />
        {chosen === undefined ? null : <EventDetail event={chosen} onClose={() => set({ event: "" })} />}
      </div>
    </div>
  );
}

function countText(log: RunLog, shown: number): string {
  const missing = log.holes().reduce((sum, hole) => sum + hole.to - hole.from + 1, 0);
  const parts = [`${formatWhole(shown)} of ${formatWhole(log.length)}`];
  if (missing > 0) parts.push(`${formatWhole(missing)} still to come`);
  if (log.problem !== null) parts.push(`${log.problem}; it is tried again`);
  if (log.removed > 0) parts.push(`the first ${formatWhole(log.removed)} were removed`);
  return parts.join(", ");
}

/** Where the list was left: at an event, or at the end; what was chosen, and the newest that had been seen. */
interface Place {
  at: { seq: number; offset: number } | null;
  selected: number | null;
  seen: number;
}

interface ListProps {
  place: string;
  events: readonly RunEvent[];
  selected: number | null;
  onSelect: (seq: number) => void;
}

function EventList({ place, events, selected, onSelect }: ListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  // A link to an event goes there; who comes back with the same one chosen goes to where the list was left.
  const [left] = useState(() => {
    const kept = placeOf<Place | null>(place, null);
    return kept?.selected === selected ? kept : null;
  });
  const follows = useRef(left === null || left.at === null);
  const top = useRef(left?.at ?? null);
  const seen = useRef(left?.seen ?? 0);
  const filtered = useRef(place);
  const [unseen, setUnseen] = useState(0);
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => HEIGHT,
    getItemKey: (index) => events[index]?.seq ?? index,
    overscan: 8,
  });
  const toEnd = () => {
    follows.current = true;
    virtual.scrollToIndex(events.length - 1, { align: "end" });
  };
  const wanted = useRef(left === null ? selected : null);
  const keep = () => {
    const at = follows.current ? null : top.current;
    keepPlace(place, at === null && selected === null ? undefined : { at, selected, seen: seen.current });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about what came, not about the list's own object
  useEffect(() => {
    const at = wanted.current === null ? -1 : indexOfSeq(events, wanted.current);
    if (at >= 0) {
      wanted.current = null;
      follows.current = false;
      virtual.scrollToIndex(at, { align: "center" });
    } else if (follows.current) virtual.scrollToIndex(events.length - 1, { align: "end" });
    else if (top.current !== null) {
      // What came before what is looked at must not move it.
      const index = indexOfSeq(events, top.current.seq);
      if (index >= 0) virtual.scrollToOffset(index * HEIGHT + top.current.offset);
    }
    const newest = events.at(-1)?.seq ?? 0;
    // Of what another filter lets through, nothing is news.
    if (follows.current || seen.current === 0 || filtered.current !== place) seen.current = newest;
    filtered.current = place;
    setUnseen(follows.current ? 0 : countAfter(events, seen.current));
  }, [events]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about what is chosen now
  useEffect(() => {
    if (wanted.current === null) keep();
  }, [selected, place]);
  const onScroll = () => {
    const box = scroller.current;
    if (box === null) return;
    follows.current = box.scrollHeight - box.scrollTop - box.clientHeight <= NEAR_PX;
    if (follows.current) {
      seen.current = events.at(-1)?.seq ?? 0;
      setUnseen(0);
    }
    const index = Math.floor(box.scrollTop / HEIGHT);
    const event = events[index];
    top.current = event === undefined ? null : { seq: event.seq, offset: box.scrollTop - index * HEIGHT };
    keep();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = selected === null ? events.length - (step > 0 ? 1 : 0) : indexOfSeq(events, selected) + step;
    const next = events[Math.max(0, Math.min(events.length - 1, at))];
    if (next === undefined) return;
    event.preventDefault();
    follows.current = false;
    onSelect(next.seq);
    virtual.scrollToIndex(events.indexOf(next));
  };
  return (
    <div className={styles.listBox}>
      <div
        ref={scroller}
        className={styles.list}
        role="log"
        aria-live="off"
        aria-label="Events"
        tabIndex={0}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
      >
        <div className={styles.rows} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const event = events[item.index];
            if (event === undefined) return null;
            return (
              <button
                type="button"
                key={event.seq}
                tabIndex={-1}
                className={styles.row}
                data-level={event.importance}
                aria-pressed={event.seq === selected}
                style={{ transform: `translateY(${item.start}px)` }}
                onClick={() => onSelect(event.seq)}
              >
                <span className={styles.seq}>{event.seq}</span>
                <time dateTime={event.timestamp}>{formatClock(event.timestamp)}</time>
                <span className={styles.type}>{event.type}</span>
                <span className={styles.text}>{eventLine(event)}</span>
              </button>
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

function EventDetail({ event, onClose }: { event: RunEvent; onClose: () => void }) {
  return (
    <aside className={styles.detail} aria-label="Event">
      <div className={styles.detailHead}>
        <h2>
          {event.seq} {event.type}
        </h2>
        <Button look="bare" aria-label="Close the event" onClick={onClose}>
          ✕
        </Button>
      </div>
      <p className={styles.count}>
        attempt {event.attempt} · position {event.position}
        {hasWord(fieldsOf(event.payload).call_id)
          ? ` · call ${lineText(String(fieldsOf(event.payload).call_id))}`
          : ""}
      </p>
      <JsonViewer value={event.payload} label="Payload" />
    </aside>
  );
}
