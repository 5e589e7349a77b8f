import { type ConnectionState as State, selectConnection, useGaps } from "@runstone/react";
import { useSelector } from "react-redux";
import { useNow } from "../design/Clock.tsx";
import { formatAge } from "../format/durations.ts";
import styles from "./ConnectionState.module.css";

/** A server that restarts is away for a moment: so long nothing is said but in the corner. */
const QUIET_MS = 3_000;

/** How the page is connected, in a word; always there. */
export function ConnectionState() {
  const connection = useSelector(selectConnection);
  const word = wordOf(connection);
  return (
    <span className={styles.state} data-phase={connection.phase}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
        {connection.phase === "live" ? (
          <circle cx="5" cy="5" r="4" fill="currentColor" />
        ) : (
          <circle
            cx="5"
            cy="5"
            r="3.5"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.5"
            strokeDasharray="2 1.5"
          />
        )}
      </svg>
      <span role="status">{word}</span>
    </span>
  );
}

/** What a person must know about the connection: that it is gone for a while, or that history is missing. */
export function ConnectionBanner() {
  const connection = useSelector(selectConnection);
  const now = useNow();
  const gaps = useGaps();
  const away = now - connection.aheadMs - connection.since;
  if (connection.phase === "signed_out")
    return (
      <p className={styles.banner} role="alert">
        This browser is not signed in. Type <code>runstone open</code> in a terminal to let it in; this page
        goes on by itself then.
      </p>
    );
  if (connection.phase === "reconnecting" && away > QUIET_MS)
    return (
      <p className={styles.banner} role="alert">
        The server has not answered for {formatAge(away)}. What you see is as of then; the page goes on by
        itself.
      </p>
    );
  const gap = gaps.at(-1);
  if (gap !== undefined)
    return (
      <p className={styles.banner} role="status">
        History up to position {gap.removedUpTo} was removed while this page was away; what is shown begins
        after it.
      </p>
    );
  return null;
}

function wordOf(connection: State): string {
  switch (connection.phase) {
    case "live":
      return "Live";
    case "signed_out":
      return "Not signed in";
    case "reconnecting":
      return "Reconnecting";
    default:
      return "Connecting";
  }
}
