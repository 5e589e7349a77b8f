import type { Command } from "@runstone/react";
import { useState } from "react";
import { Age } from "../design/Age.tsx";
import { Button } from "../design/Button.tsx";
import { visible } from "../format/visible.ts";
import styles from "./Controls.module.css";

const WORDS: Record<string, string> = { steer: "message" };

/** How far the newest order got; all of them where there are more. */
export function OrderState({ orders: given }: { orders: readonly Command[] }) {
  const [all, setAll] = useState(false);
  // That it was started shows by itself.
  const orders = given.filter((order) => order.verb !== "start" || order.status !== "applied");
  const newest = newestOf(orders);
  if (newest === undefined) return null;
  return (
    <div className={styles.orders}>
      <span role="status">
        <Steps order={newest} />
      </span>
      {orders.length > 1 ? (
        <Button look="bare" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Hide the others" : `All ${orders.length} orders`}
        </Button>
      ) : null}
      {all ? (
        <ol className={styles.all} aria-label="Orders, the newest first">
          {[...orders].reverse().map((order) => (
            <li key={order.id}>
              <Steps order={order} />
            </li>
          ))}
        </ol>
      ) : null}
    </div>
  );
}

/** The steps that an order went, each as the ledger has recorded it: nothing is shown that did not happen. */
function Steps({ order }: { order: Command }) {
  const steps: [string, string | null][] = [
    ["requested", order.requested_at],
    ["acknowledged", order.acknowledged_at],
    [order.status === "rejected" ? "rejected" : "applied", order.ended_at],
  ];
  const message = order.payload.message;
  return (
    <span className={styles.steps} data-status={order.status}>
      <b>{WORDS[order.verb] ?? order.verb}</b>
      {order.payload.scope === "subtree" ? " with all below" : ""}
      {typeof message === "string" ? ` “${visible(message.slice(0, 80))}”` : ""}
      {": "}
      {steps
        .filter(([, at]) => at !== null)
        .map(([word, at], index) => (
          <span key={word}>
            {index > 0 ? " → " : ""}
            {word} <Age at={at} />
          </span>
        ))}
      {order.requested_by === null ? "" : ` · by ${visible(order.requested_by)}`}
      {order.reason === null ? "" : ` · ${visible(order.reason)}`}
    </span>
  );
}

function newestOf(orders: readonly Command[]): Command | undefined {
  return orders.reduce<Command | undefined>(
    (newest, one) => (newest === undefined || one.requested_at > newest.requested_at ? one : newest),
    undefined,
  );
}
