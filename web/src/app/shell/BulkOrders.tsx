import { type Bulk, useCancelBulkMutation, useGetBulksQuery } from "@runstone/react";
import { useState } from "react";
import { Link } from "wouter";
import { Button } from "../design/Button.tsx";
import { formatWhole } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";
import styles from "./BulkOrders.module.css";
import { store, stored } from "./settings.ts";

const DISMISSED = "runstone.bulks.dismissed";
/** What ended longer ago is told no more. */
const TOLD_MS = 24 * 3_600_000;
const WATCHED_MS = 1_000;

/** Orders for many runs, above every screen: how far those under way came, and what became of the others until
 * somebody has read it. They are the server's: a reload, another browser or a restart shows the same. */
export default function BulkOrders() {
  const [dismissed, setDismissed] = useState<readonly string[]>(() => stored<string[]>(DISMISSED, []));
  const [isWatched, setWatched] = useState(false);
  const { data = [] } = useGetBulksQuery(undefined, { pollingInterval: isWatched ? WATCHED_MS : 0 });
  const underWay = data.some((one) => one.ended_at === null);
  if (underWay !== isWatched) setWatched(underWay);
  const shown = data.filter((one) => isTold(one) && !dismissed.includes(one.id));
  if (shown.length === 0) return null;
  const dismiss = (id: string) => {
    const next = [...dismissed.filter((one) => data.some((bulk) => bulk.id === one)), id];
    store(DISMISSED, next);
    setDismissed(next);
  };
  return (
    <section className={styles.orders} aria-label="Orders for many runs">
      {shown.map((bulk) => (
        <BulkOrder key={bulk.id} bulk={bulk} onDismiss={() => dismiss(bulk.id)} />
      ))}
    </section>
  );
}

function isTold(bulk: Bulk): boolean {
  return bulk.ended_at === null || Date.now() - Date.parse(bulk.ended_at) < TOLD_MS;
}

function BulkOrder({ bulk, onDismiss }: { bulk: Bulk; onDismiss: () => void }) {
  const [cancel, { isLoading }] = useCancelBulkMutation();
  const done = bulk.given + bulk.refused;
  const isUnderWay = bulk.ended_at === null;
  return (
    <div className={styles.order}>
      <div className={styles.line}>
        <b>{bulk.verb}</b>
        {isUnderWay ? (
          <progress
            className={styles.progress}
            max={bulk.total}
            value={done}
            aria-label={`Given: ${bulk.verb}`}
          />
        ) : null}
        <span role="status">{wordsOf(bulk)}</span>
        <span className={styles.space} />
        {isUnderWay ? (
          <Button disabled={isLoading} onClick={() => void cancel(bulk.id)}>
            Cancel the rest
          </Button>
        ) : (
          <Button look="bare" aria-label={`Dismiss: ${bulk.verb}`} onClick={onDismiss}>
            ✕
          </Button>
        )}
      </div>
      {bulk.refusals.length === 0 ? null : (
        <details>
          <summary>Who refused it, and why</summary>
          <ul className={styles.refusals}>
            {bulk.refusals.map(({ run_id: id, reason }) => (
              <li key={id}>
                <Link href={`/runs/${encodeURIComponent(id)}`}>{id}</Link> {visible(reason)}
              </li>
            ))}
            {bulk.refused > bulk.refusals.length ? (
              <li>and {formatWhole(bulk.refused - bulk.refusals.length)} more</li>
            ) : null}
          </ul>
        </details>
      )}
    </div>
  );
}

function wordsOf(bulk: Bulk): string {
  const { given, refused, left_out: left, total } = bulk;
  const parts = [
    `${formatWhole(given)} of ${formatWhole(total)} ${total === 1 ? "run has" : "runs have"} the order`,
    refused > 0 ? `${formatWhole(refused)} refused it` : "",
    left > 0 ? `${formatWhole(left)} left out, as it was cancelled` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
