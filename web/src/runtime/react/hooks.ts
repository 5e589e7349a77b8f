import { useCallback, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import { useSelector } from "react-redux";
import { selectConnection } from "../api/connection.ts";
import type { RunLog } from "../events/log.ts";
import type { Gap } from "../events/store.ts";
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

/** The calls of a run's tools; `status` is the run's as shown. */
export function useToolCalls(runId: string, status: string): ToolCall[] {
  const view = useRunLog(runId);
  return useMemo(() => toolCallsOf(view.log.events, status), [view, status]);
}

/** Where events were removed before they were seen here. */
export function useGaps(): readonly Gap[] {
  const { events } = useLiveLedger();
  const subscribe = useCallback((told: () => void) => events.subscribeGaps(told), [events]);
  return useSyncExternalStore(subscribe, () => events.gaps);
}
