import { useCallback, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import { useSelector } from "react-redux";
import { selectConnection } from "../api/connection.ts";
import type { RunLog } from "../events/log.ts";
import type { Gap } from "../events/store.ts";
import type { EventChoice, EventWindow } from "../events/window.ts";
import { type ToolCall, toolCallsOf } from "../folds/toolCalls.ts";
import { LiveContext, type LiveLedger } from "./live.ts";

/** The ledger of the provider above. */
export function useLiveLedger(): LiveLedger {
  const live = useContext(LiveContext);
  if (live === null) throw new Error("a RunstoneProvider is needed above");
  return live;
}

/** The whole address of a path of the API, for what a browser fetches by itself. */
export function useApiAddress(path: string): string {
  const { baseUrl } = useSelector(selectConnection);
  return `${baseUrl}${path}`;
}

/** A run's log as of now. The log itself is the same object always; `version` says that it grew. */
export interface LogView {
  log: RunLog;
  version: number;
}

/** Follows a run: its events are fetched, and kept up to date while the component is there. */
export function useRunLog(runId: string): LogView {
  const live = useLiveLedger();
  useEffect(() => live.follow(runId), [live, runId]);
  const subscribe = useCallback((told: () => void) => live.events.subscribe(runId, told), [live, runId]);
  const version = useSyncExternalStore(subscribe, () => live.events.log(runId).version);
  const log = live.events.log(runId);
  return useMemo(() => ({ log, version }), [log, version]);
}

/** A part of a run's events, read where somebody looks: `look` says where. The window is the same object for the same
 * run and choice, which is to be kept by who gives it; it comes with its version.
 *
 * `place` is the event at which it begins; null for the end.
 */
export function useEventWindow(
  runId: string,
  choice: EventChoice,
  place: number | null = null,
): { window: EventWindow; version: number } {
  const live = useLiveLedger();
  // biome-ignore lint/correctness/useExhaustiveDependencies: where it begins says nothing of where it goes on
  const window = useMemo(() => live.eventWindow(runId, choice, place), [live, runId, choice]);
  useEffect(() => live.open(window), [live, window]);
  const subscribe = useCallback((told: () => void) => window.subscribe(told), [window]);
  const version = useSyncExternalStore(subscribe, () => window.version);
  return { window, version };
}

const CALLS: EventChoice = { types: ["tool.", "iteration.started"] };

/** The newest calls of a run's tools; `status` is the run's as shown. `isAll`: it made no others before. */
export function useToolCalls(runId: string, status: string): { calls: ToolCall[]; isAll: boolean } {
  const { window, version } = useEventWindow(runId, CALLS);
  useEffect(() => {
    if (version > 0 && !window.isAtEnd) window.look(window.rows, window.rows, true);
  }, [window, version]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the window is the same object; its version tells of news
  return useMemo(
    () => ({ calls: toolCallsOf(window.events, status), isAll: window.from <= window.first }),
    [window, version, status],
  );
}

/** Keeps what is shown of a run (its row, its orders, its messages) up to date, without its events of before. */
export function useRunNews(runId: string): void {
  const live = useLiveLedger();
  useEffect(() => live.hear(runId), [live, runId]);
}

/** Where events were removed before they were seen here. */
export function useGaps(): readonly Gap[] {
  const { events } = useLiveLedger();
  const subscribe = useCallback((told: () => void) => events.subscribeGaps(told), [events]);
  return useSyncExternalStore(subscribe, () => events.gaps);
}
