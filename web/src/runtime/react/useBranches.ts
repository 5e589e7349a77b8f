import { useCallback, useEffect, useMemo, useRef } from "react";
import { shallowEqual, useDispatch, useSelector } from "react-redux";
import { runsApi } from "../api/runs.ts";
import type { Run } from "../wire/records.ts";

const { getBranch } = runsApi.endpoints;

type State = Parameters<ReturnType<typeof getBranch.select>>[0];
type Subscription = { unsubscribe: () => void };

/** What is known of the children of a run. */
export interface Branch {
  /** The run itself, with its sums. */
  run: Run | null;
  children: readonly Run[];
  hasMore: boolean;
  isFetching: boolean;
  error: unknown;
}

/** The children of each of these runs, in pages; `more` fetches the next page of one's. Others are not read. */
export function useBranches(ids: readonly string[]): {
  branches: ReadonlyMap<string, Branch>;
  more: (id: string) => void;
} {
  const dispatch = useDispatch() as unknown as (action: unknown) => Subscription;
  const subscriptions = useRef(new Map<string, Subscription>());
  useEffect(() => {
    const kept = subscriptions.current;
    const wanted = new Set(ids);
    for (const id of wanted) if (!kept.has(id)) kept.set(id, dispatch(getBranch.initiate(id)));
    for (const [id, subscription] of kept)
      if (!wanted.has(id)) {
        subscription.unsubscribe();
        kept.delete(id);
      }
  }, [ids, dispatch]);
  useEffect(() => {
    const kept = subscriptions.current;
    return () => {
      for (const subscription of kept.values()) subscription.unsubscribe();
      kept.clear();
    };
  }, []);
  const selectors = useMemo(() => ids.map((id) => getBranch.select(id)), [ids]);
  const found = useSelector((state: State) => selectors.map((select) => select(state)), shallowEqual);
  const branches = useMemo(
    () =>
      new Map(
        ids.flatMap((id, index) => (found[index] === undefined ? [] : [[id, branchOf(id, found[index])]])),
      ),
    [ids, found],
  );
  const more = useCallback(
    (id: string) => {
      dispatch(getBranch.initiate(id, { direction: "forward", subscribe: false }));
    },
    [dispatch],
  );
  return { branches, more };
}

function branchOf(id: string, found: ReturnType<ReturnType<typeof getBranch.select>>): Branch {
  const rows = [
    ...new Map((found.data?.pages ?? []).flatMap((page) => page.items).map((run) => [run.id, run])).values(),
  ];
  return {
    run: rows.find((run) => run.id === id) ?? null,
    children: rows.filter((run) => run.id !== id),
    hasMore: (found.data?.pages.at(-1)?.next_cursor ?? null) !== null,
    isFetching: found.status === "pending",
    error: found.error,
  };
}
