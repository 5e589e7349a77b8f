import { selectConnection } from "@runstone/react";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { useSelector } from "react-redux";

const NowContext = createContext(0);
const SECOND = 1_000;

/** One clock for the page, so that all ages step together and one timer does for ten thousand rows. */
export function Clock({ children, now }: { children: ReactNode; now?: number }) {
  const [time, setTime] = useState(() => now ?? Date.now());
  const { aheadMs } = useSelector(selectConnection);
  useEffect(() => {
    if (now !== undefined) return;
    const timer = setInterval(() => setTime(Date.now()), SECOND);
    return () => clearInterval(timer);
  }, [now]);
  return <NowContext value={now ?? time + aheadMs}>{children}</NowContext>;
}

/** The time by the server's clock, as the ledger's times are, in milliseconds; it moves once a second. */
export function useNow(): number {
  return useContext(NowContext);
}

/** The time up to which the page knows what happened: while the server is away it stands still, as nobody knows
 * whether what was live still is. */
export function useKnownNow(): number {
  const now = useNow();
  const { phase, since, aheadMs } = useSelector(selectConnection);
  return phase === "reconnecting" || phase === "signed_out" ? Math.min(now, since + aheadMs) : now;
}
