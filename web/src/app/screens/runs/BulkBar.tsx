import { type Run, useGiveBulkMutation } from "@runstone/react";
import { useRef, useState } from "react";
import { Button } from "../../design/Button.tsx";
import { Dialog } from "../../design/Dialog.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { newKey } from "../../orders/keys.ts";
import { Problem } from "../../orders/Problem.tsx";
import { BULK_VERBS, type BulkVerb, MOST_ORDERED, targetsOf } from "./bulk.ts";
import styles from "./Views.module.css";

interface Props {
  /** The runs that are marked; without any it is about all that the filters show. */
  marked: readonly Run[];
  /** Fetches all runs that the filters show. */
  readAll: () => Promise<readonly Run[]>;
  onClear: () => void;
}

interface Asked {
  verb: BulkVerb;
  targets: readonly Run[];
  among: number;
}

/** The same order for many runs: how many it is for is said first. The server gives it to one after the other, whoever
 * leaves this page; how far it came stands above every screen. */
export function BulkBar({ marked, readAll, onClear }: Props) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [isReading, setReading] = useState(false);
  const [failure, setFailure] = useState<unknown>(undefined);
  const prepare = async (verb: BulkVerb) => {
    setReading(true);
    setFailure(undefined);
    try {
      const runs = marked.length > 0 ? marked : await readAll();
      setAsked({ verb, targets: targetsOf(verb, runs), among: runs.length });
    } catch (error) {
      setFailure(error);
    }
    setReading(false);
  };
  return (
    <section className={styles.bulk} aria-label="For many runs">
      <label>
        {marked.length > 0 ? `${formatWhole(marked.length)} marked: ` : "All shown: "}
        <select
          value=""
          disabled={isReading}
          onChange={(event) => void prepare(event.target.value as BulkVerb)}
          aria-label={marked.length > 0 ? "Do with the marked runs" : "Do with all runs shown"}
        >
          <option value="" disabled>
            {isReading ? "counting…" : "do…"}
          </option>
          {BULK_VERBS.map((verb) => (
            <option key={verb} value={verb}>
              {verb}
            </option>
          ))}
        </select>
      </label>
      {marked.length > 0 ? <Button onClick={onClear}>Unmark all</Button> : null}
      <Problem error={failure} />
      <Dialog
        title={asked === null ? "" : `${wordOf(asked.verb)} ${runsText(asked.targets.length)}?`}
        open={asked !== null}
        onClose={() => setAsked(null)}
      >
        {asked === null ? null : (
          <Confirm
            asked={asked}
            onGiven={() => {
              setAsked(null);
              onClear();
            }}
            onClose={() => setAsked(null)}
          />
        )}
      </Dialog>
    </section>
  );
}

function Confirm({ asked, onGiven, onClose }: { asked: Asked; onGiven: () => void; onClose: () => void }) {
  const [give, { isLoading, error }] = useGiveBulkMutation();
  // One key for the whole dialog: pressed twice, or sent again after a broken connection, it is one order.
  const key = useRef(newKey());
  const { verb, targets, among } = asked;
  const tooMany = targets.length > MOST_ORDERED;
  const send = () => {
    void give({ verb, run_ids: targets.map((run) => run.id), key: key.current })
      .unwrap()
      .then(onGiven, () => undefined);
  };
  return (
    <div className={styles.form}>
      <p>
        {targets.length === among
          ? "All of them."
          : `Of ${runsText(among)}; the others are not so that it fits them, or are below one of these.`}
      </p>
      {tooMany ? (
        <p role="alert">At most {formatWhole(MOST_ORDERED)} at a time: take narrower filters.</p>
      ) : null}
      <p className={styles.quiet}>
        The server gives the order to one after the other. You may leave this page; it can be cancelled while
        it is under way, and what a run refuses is named.
      </p>
      <Problem error={error} />
      <div className={styles.choices}>
        <Button
          look={verb === "stop" ? "danger" : "primary"}
          disabled={targets.length === 0 || tooMany || isLoading}
          onClick={send}
        >
          {isLoading ? "Sending…" : `${wordOf(verb)} ${runsText(targets.length)}`}
        </Button>
        <Button onClick={onClose}>Leave them</Button>
      </div>
    </div>
  );
}

function runsText(count: number): string {
  return `${formatWhole(count)} ${count === 1 ? "run" : "runs"}`;
}

function wordOf(verb: BulkVerb): string {
  return verb[0]?.toUpperCase() + verb.slice(1);
}
