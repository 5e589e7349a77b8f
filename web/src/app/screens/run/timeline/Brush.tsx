import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { formatDuration } from "../../../format/durations.ts";
import { type Axis, type Interval, placeOf, timeAt } from "./axis.ts";
import { densityOf } from "./rows.ts";
import styles from "./Timeline.module.css";

const PARTS = 120;
/** A smaller range than this part of the whole was no drag but a click. */
const LEAST = 0.008;
const STEP = 0.02;

interface Props {
  axis: Axis;
  busy: readonly Interval[];
  from: number;
  to: number;
  onChange: (from: number, to: number) => void;
}

/** The whole time with how many runs worked; dragging, or the arrows on its two edges, chooses a part of it. */
export function Brush({ axis, busy, from, to, onChange }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const edges: [number, number] = drag ?? [placeOf(axis, from), placeOf(axis, to)];
  const [low, high] = [Math.min(...edges), Math.max(...edges)];
  const placeAt = (event: PointerEvent) => {
    const { left, width } = (box.current as HTMLDivElement).getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / Math.max(1, width)));
  };
  const choose = (a: number, b: number) =>
    onChange(timeAt(axis, Math.min(a, b)), timeAt(axis, Math.max(a, b)));
  const onKeyDown = (edge: 0 | 1) => (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowLeft: -STEP,
      ArrowRight: STEP,
      PageDown: -5 * STEP,
      PageUp: 5 * STEP,
    };
    const at =
      event.key === "Home" ? 0 : event.key === "End" ? 1 : edges[edge] + (moves[event.key] ?? Number.NaN);
    if (Number.isNaN(at)) return;
    event.preventDefault();
    event.stopPropagation();
    if (edge === 0) choose(Math.min(at, high - LEAST), high);
    else choose(low, Math.max(at, low + LEAST));
  };
  const handle = (edge: 0 | 1, name: string) => (
    <div
      role="slider"
      tabIndex={0}
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round((edge === 0 ? low : high) * 100)}
      aria-valuetext={`${formatDuration(timeAt(axis, edge === 0 ? low : high) - axis.from)} after the start`}
      className={styles.handle}
      style={{ left: `${(edge === 0 ? low : high) * 100}%` }}
      onKeyDown={onKeyDown(edge)}
    />
  );
  return (
    <div
      ref={box}
      className={styles.brush}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        const at = placeAt(event);
        setDrag([at, at]);
      }}
      onPointerMove={(event) => {
        const at = drag === null ? 0 : placeAt(event);
        if (drag !== null) setDrag([drag[0], at]);
      }}
      onPointerUp={() => {
        if (drag !== null && Math.abs(drag[1] - drag[0]) > LEAST) choose(...drag);
        setDrag(null);
      }}
      onPointerCancel={() => setDrag(null)}
    >
      <svg
        className={styles.density}
        viewBox={`0 0 ${PARTS} 1`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        <path d={areaOf(axis, busy)} fill="currentColor" />
      </svg>
      <div className={styles.out} style={{ left: 0, width: `${low * 100}%` }} />
      <div className={styles.out} style={{ left: `${high * 100}%`, right: 0 }} />
      {handle(0, "From")}
      {handle(1, "To")}
    </div>
  );
}

/** How many worked, as an area; the places are those of the axis, so that folds are folded here, too. */
function areaOf(axis: Axis, busy: readonly Interval[]): string {
  const places = busy.map(([a, b]): Interval => [placeOf(axis, a), placeOf(axis, b)]);
  const counts = densityOf(places, 0, 1, PARTS);
  const most = Math.max(1, ...counts);
  const points = counts.map((count, at) => `V${1 - count / most}H${at + 1}`);
  return `M0 1${points.join("")}V1Z`;
}
