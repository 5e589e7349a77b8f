import { store, stored } from "../../shell/settings.ts";

const KEY = "runstone.visit";
/** A reload within that time is the same visit. */
const SAME_VISIT_MS = 10 * 60_000;

interface Visit {
  /** When the visit before this one ended. */
  before: number;
  /** When this browser was last here. */
  seen: number;
}

let visit: Visit | null = null;

/** When this browser's person was last here before now, in milliseconds since the epoch. */
export function lastVisit(): number {
  if (visit === null) {
    const now = Date.now();
    const known = stored<Visit>(KEY, { before: now, seen: now });
    visit = now - known.seen > SAME_VISIT_MS ? { before: known.seen, seen: now } : { ...known, seen: now };
    keep(visit);
    window.addEventListener("pagehide", () => keep({ ...(visit as Visit), seen: Date.now() }));
  }
  return visit.before;
}

function keep(value: Visit): void {
  store(KEY, value);
}
