import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { readState, type StateOf, writeState } from "./codecs.ts";

export type SetUrlState<S> = (change: Partial<StateOf<S>>, options?: { push?: boolean }) => void;

/** State that lives in the URL, so that a link, a reload and the back button have it.
 *
 * Most changes replace the entry of the browser's history; `push` makes one that the back button takes back.
 */
export function useUrlState<S extends Record<string, unknown>>(schema: S): [StateOf<S>, SetUrlState<S>] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const state = useMemo(() => readState(schema, search), [schema, search]);
  const set = useCallback<SetUrlState<S>>(
    (change, options) => {
      // Read afresh: two changes in one round must not undo each other.
      const query = writeState(schema, window.location.search, change);
      navigate(query === "" ? path : `${path}?${query}`, { replace: !options?.push });
    },
    [schema, path, navigate],
  );
  return [state, set];
}
