import { type ReactNode, useEffect, useState } from "react";
import { useStore } from "react-redux";
import { LiveContext, LiveLedger, type LiveOptions, type StoreLike } from "./live.ts";

/** Keeps the Redux store around it in step with a ledger, and gives the hooks below what they read.
 *
 * The store needs the reducers of `runstoneReducers` and the middleware of `runstoneApi`.
 */
export function RunstoneProvider({ children, ...options }: LiveOptions & { children: ReactNode }) {
  const store = useStore();
  const [live] = useState(() => new LiveLedger(store as unknown as StoreLike, options));
  useEffect(() => live.start(), [live]);
  return <LiveContext value={live}>{children}</LiveContext>;
}
