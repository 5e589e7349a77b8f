import type { Checkpoint } from "@runstone/react";
import { formatDuration } from "../../../format/durations.ts";
import styles from "./Checkpoints.module.css";

interface Props {
  checkpoints: readonly Checkpoint[];
  chosen: Checkpoint;
  against: Checkpoint | undefined;
  onChoose: (number: string) => void;
}

/** More marks than that could not be told apart. */
const MOST = 150;

/** When they were saved, on a line. Who can't see it has the same in the list below. */
export function Moments({ checkpoints, chosen, against, onChoose }: Props) {
  const first = Date.parse(checkpoints[0]?.created_at ?? "");
  const last = Date.parse(checkpoints.at(-1)?.created_at ?? "");
  const span = last - first;
  const each = Math.ceil(checkpoints.length / MOST);
  const shown = checkpoints.filter((one, index) => index % each === 0 || one === chosen || one === against);
  return (
    <div
      className={styles.moments}
      aria-hidden="true"
      title={span > 0 ? `${formatDuration(span)} from the first to the last` : undefined}
      onClick={(event) => {
        const number = event.target instanceof HTMLElement ? event.target.dataset.number : undefined;
        if (number !== undefined) onChoose(number);
      }}
    >
      {shown.map((one) => (
        <span
          key={one.number}
          className={styles.moment}
          data-number={one.number}
          data-chosen={one === chosen ? "after" : one === against ? "before" : undefined}
          data-labelled={one.label !== null || undefined}
          style={{ left: `${span > 0 ? ((Date.parse(one.created_at) - first) / span) * 100 : 50}%` }}
        />
      ))}
    </div>
  );
}
