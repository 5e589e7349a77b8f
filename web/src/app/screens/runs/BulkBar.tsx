import { type Run, useChangeRunMutation, useGiveCommandMutation } from "@runstone/react";
import { useState } from "react";
import { Button } from "../../design/Button.tsx";
import { Dialog } from "../../design/Dialog.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { BULK_VERBS, type BulkVerb, inTurn, type Progress, targetsOf } from "./bulk.ts";
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

/** The same order for many runs: how many it is for is said first, and how far it got while it is given. */
export function BulkBar({ marked, readAll, onClear }: Props) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [isReading, setReading] = useState(false);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [give] = useGiveCommandMutation();
  const [change] = useChangeRunMutation();
  const prepare = async (verb: BulkVerb) => {
    setReading(true);
    const runs = marked.length > 0 ? marked : await readAll();
    setReading(false);
    setProgress(null);
    setAsked({ verb, targets: targetsOf(verb, runs), among: runs.length });
  };
  const act = async ({ verb, targets }: Asked) => {
    setAsked(null);
    setProgress({ done: 0, refused: 0, total: targets.length });
    await inTurn(
      targets,
      async (run) => {
        const done =
          verb === "archive"
            ? await change({ id: run.id, archived: true })
            : await give({ runId: run.id, verb, key: `${verb} ${run.id} ${run.attempt} ${run.updated_at}` });
        return done.error === undefined;
      },
      setProgress,
    );
    onClear();
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
      {progress === null ? null : (
        <span role="status">
          <progress
            className={styles.progress}
            max={progress.total}
            value={progress.done}
            aria-label="Orders given"
          />{" "}
          {progress.done} of {progress.total}
          {progress.refused > 0 ? `, ${progress.refused} refused` : ""}
        </span>
      )}
      <Dialog
        title={asked === null ? "" : `${wordOf(asked.verb)} ${runsText(asked.targets.length)}?`}
        open={asked !== null}
        onClose={() => setAsked(null)}
      >
        {asked === null ? null : (
          <div className={styles.form}>
            <p>
              {asked.targets.length === asked.among
                ? "All of them."
                : `Of ${runsText(asked.among)}; the others are not so that it fits them, or are below one of these.`}
            </p>
            <Button
              look={asked.verb === "stop" ? "danger" : "primary"}
              disabled={asked.targets.length === 0}
              onClick={() => void act(asked)}
            >
              {wordOf(asked.verb)} {runsText(asked.targets.length)}
            </Button>
          </div>
        )}
      </Dialog>
    </section>
  );
}

function runsText(count: number): string {
  return `${formatWhole(count)} ${count === 1 ? "run" : "runs"}`;
}

function wordOf(verb: BulkVerb): string {
  return verb[0]?.toUpperCase() + verb.slice(1);
}
