import { type EventChoice, type EventWindow, type Run, useEventWindow } from "@runstone/react";
import { useMemo } from "react";
import { Button } from "../../design/Button.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { choice, text } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { placeOf } from "../../shell/places.ts";
import { EventDetail } from "./EventDetail.tsx";
import { EventList, type Place } from "./EventList.tsx";
import styles from "./Events.module.css";
import { fitsText } from "./eventLines.ts";

const SCHEMA = { type: text, level: choice(["normal", "all", "high"]), event: text };
const LOWEST = { all: 0, normal: 1, high: 2 };

/** The events of a run, live. At the end it follows; elsewhere the place is held, whatever comes before or after. */
export default function Events({ run }: { run: Run }) {
  const [state, set] = useUrlState(SCHEMA);
  const wanted = useMemo(() => choiceOf(state.type, LOWEST[state.level]), [state.type, state.level]);
  const selected = state.event === "" ? null : Number(state.event);
  const name = `events:${run.id}:${state.level}:${state.type}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is chosen later is no reason to begin anew
  const left = useMemo(() => leftAt(name, selected), [name]);
  const { window, version } = useEventWindow(
    run.id,
    wanted,
    left === null ? selected : (left.at?.seq ?? null),
  );
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
        <span className={styles.count}>{countText(window)}</span>
        {window.isPaused ? <Button onClick={() => window.goOn()}>Look further back</Button> : null}
      </div>
      <div className={styles.body}>
        <EventList
          key={name}
          name={name}
          left={left}
          window={window}
          version={version}
          selected={selected}
          onSelect={(seq) => set({ event: String(seq) })}
        />
        {selected === null ? null : (
          <EventDetail key={selected} runId={run.id} seq={selected} onClose={() => set({ event: "" })} />
        )}
      </div>
    </div>
  );
}

/** Where the list was left by who comes back with the same event chosen. */
function leftAt(name: string, selected: number | null): Place | null {
  const kept = placeOf<Place | null>(name, null);
  return kept?.selected === selected ? kept : null;
}

function choiceOf(words: string, minImportance: number): EventChoice {
  return {
    ...(minImportance > 0 && { minImportance }),
    ...(words !== "" && { fits: (event) => fitsText(event, words.toLowerCase()) }),
  };
}

function countText(window: EventWindow): string {
  const all = Math.max(0, window.end - window.first + 1);
  const parts = window.isEmpty ? [] : [`${formatWhole(window.rows)} of ${formatWhole(all)}`];
  if (!window.isWhole && window.from > window.first && window.rows > 0)
    parts.push(`looked back to ${formatWhole(window.from)}`);
  if (window.isPaused) parts.push(`none that fits from ${formatWhole(window.from)} on`);
  if (window.problem !== null) parts.push(`${window.problem}; it is tried again`);
  if (window.first > 1) parts.push(`the first ${formatWhole(window.first - 1)} were removed`);
  return parts.join(", ");
}
