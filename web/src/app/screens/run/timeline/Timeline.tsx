import { isEnded, type Run, type TimelineRow, useTimeline } from "@runstone/react";
import { useMemo } from "react";
import { Button } from "../../../design/Button.tsx";
import { useNow } from "../../../design/Clock.tsx";
import { Notice, ProblemNotice } from "../../../design/Notice.tsx";
import { formatDuration } from "../../../format/durations.ts";
import { flag, text, texts } from "../../../location/codecs.ts";
import { useUrlState } from "../../../location/useUrlState.ts";
import { useKeptPages } from "../../../shell/places.ts";
import { axisOf } from "./axis.ts";
import { Brush } from "./Brush.tsx";
import { LOWEST_ROW_PX, Rows } from "./Rows.tsx";
import { RunSpans } from "./RunSpans.tsx";
import { busyTimes, lastMoment, linesOf } from "./rows.ts";
import styles from "./Timeline.module.css";

const SCHEMA = { row: text, folded: texts, from: text, to: text, whole: flag };
const NO_ROWS: readonly TimelineRow[] = [];
/** When each run below this one worked and waited, as the server sums it up: no event needs to be there first. */
export default function Timeline({ run }: { run: Run }) {
  const ended = isEnded(run.status);
  const { rows = NO_ROWS, hasMore, more, error } = useTimeline(run.id, !ended);
  const [state, set] = useUrlState(SCHEMA);
  const seconds = useNow();
  const known = useMemo(() => lastMoment(rows), [rows]);
  const lines = useMemo(() => linesOf(rows, new Set(state.folded)), [rows, state.folded]);
  const top = rows[0];
  const now = ended && top?.end != null ? Date.parse(top.end) : Math.max(known, ended ? 0 : seconds);
  const busy = useMemo(() => busyTimes(rows), [rows]);
  const begin = top === undefined ? now : Date.parse(top.start);
  const whole = useMemo(() => axisOf(begin, now, busy, !state.whole), [begin, now, busy, state.whole]);
  const from = momentOf(state.from, begin);
  const to = momentOf(state.to, now);
  const axis = useMemo(() => axisOf(from, to, busy, !state.whole), [from, to, busy, state.whole]);
  const { scroll, reaches } = useKeptPages(`timeline:${run.id}`, {
    rows: lines.length,
    height: LOWEST_ROW_PX,
    hasMore: hasMore && error === undefined,
    more,
  });
  if (top === undefined || !reaches)
    return error === undefined ? <Notice title="Loading…" /> : <ProblemNotice error={error} />;
  const folds = axis.pieces.filter((piece) => piece.folded);
  const chosen = rows.find((row) => row.run_id === state.row);
  return (
    <div className={styles.timeline}>
      <div className={styles.bar}>
        <Button
          aria-pressed={!state.whole}
          onClick={() => set({ whole: !state.whole }, { push: true })}
          title="Times in which no run worked take little room"
        >
          Fold idle time
        </Button>
        {ended ? null : (
          <Button
            aria-pressed={state.to === ""}
            onClick={() => set({ to: state.to === "" ? String(now) : "" })}
          >
            Follow now
          </Button>
        )}
        {state.from === "" && state.to === "" ? null : (
          <Button onClick={() => set({ from: "", to: "" })}>Show all of it</Button>
        )}
        <span className={styles.note} role="status">
          {rows.length}
          {hasMore ? "+" : ""} {rows.length === 1 && !hasMore ? "run" : "runs"} in{" "}
          {formatDuration(now - begin)}
          {folds.length === 0
            ? ""
            : `, ${formatDuration(folds.reduce((sum, one) => sum + one.to - one.from, 0))} idle folded`}
        </span>
        <Legend />
      </div>
      <Brush
        axis={whole}
        busy={busy}
        from={from}
        to={to}
        onChange={(a, b) =>
          set({
            from: a <= begin ? "" : String(Math.round(a)),
            to: b >= now ? "" : String(Math.round(b)),
          })
        }
      />
      <Rows
        lines={lines}
        axis={axis}
        now={now}
        selected={state.row || null}
        onSelect={(row) => set({ row })}
        onToggle={(id, expanded) =>
          set({ folded: expanded ? state.folded.filter((one) => one !== id) : [...state.folded, id] })
        }
        onEnd={more}
        scroll={scroll}
      />
      {chosen === undefined ? null : (
        <RunSpans key={chosen.run_id} row={chosen} now={now} onClose={() => set({ row: "" })} />
      )}
    </div>
  );
}

const KINDS: readonly [string, string][] = [
  ["completed", "done"],
  ["running", "at work"],
  ["failed", "failed"],
  ["interrupted", "interrupted"],
  ["waiting", "waits"],
  ["awaiting_user", "needs a person"],
];

/** The patterns by which the parts are told apart beside their colour. */
function Legend() {
  return (
    <ul className={styles.legend} aria-label="Legend">
      {KINDS.map(([kind, name]) => (
        <li key={kind}>
          <span className={styles.span} data-kind={kind} aria-hidden="true" />
          {name}
        </li>
      ))}
    </ul>
  );
}

function momentOf(value: string, otherwise: number): number {
  const moment = Number(value);
  return value === "" || !Number.isFinite(moment) ? otherwise : moment;
}
