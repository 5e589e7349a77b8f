import { type Seen, useMarkSeenMutation } from "@runstone/react";
import { useEffect, useRef } from "react";

/** So often it is said how far a person has seen, while they look and there is news. */
const EVERY_MS = 60_000;
/** One mark for the whole page, whatever screens ask. */
const SHARED = { fixedCacheKey: "seen" };

/** When the last visit of who looks ended, in milliseconds; what finished after it is news. It is kept in the ledger,
 * so that it is the same in each of their browsers; before that is known, nothing is news.
 */
export function useLastVisit(): number {
  const [, { data }] = useMarkSeenMutation(SHARED);
  return endOf(data);
}

function endOf(seen: Seen | null | undefined): number {
  const end = Date.parse(seen?.before_at ?? "");
  return Number.isFinite(end) ? end : Number.POSITIVE_INFINITY;
}

/** Says in the ledger that what is shown as of a cursor was seen, at once and then each minute in which there is news
 * and somebody looks. */
export function useMarksSeen(asOf: string | undefined): void {
  const [mark] = useMarkSeenMutation(SHARED);
  const marked = useRef({ cursor: "", at: Number.NEGATIVE_INFINITY });
  useEffect(() => {
    if (asOf === undefined || asOf === marked.current.cursor) return;
    const tell = () => {
      if (document.hidden) return;
      marked.current = { cursor: asOf, at: performance.now() };
      void mark(asOf);
    };
    const timer = setTimeout(tell, Math.max(0, marked.current.at + EVERY_MS - performance.now()));
    return () => clearTimeout(timer);
  }, [asOf, mark]);
}
