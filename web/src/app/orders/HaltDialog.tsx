import { type Run, useChangeRunMutation, useGetTreeQuery, useGiveCommandMutation } from "@runstone/react";
import { useRef, useState } from "react";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import styles from "./Controls.module.css";
import { unendedBelow } from "./fitting.ts";
import { newKey } from "./keys.ts";
import { Problem } from "./Problem.tsx";

interface Props {
  run: Run;
  verb: "stop" | "pause" | "archive";
  onClose: () => void;
}

const TITLES = { stop: "Stop this run?", pause: "Pause this run?", archive: "Put this run away?" };

/** Asks before something is halted or put away, and says what that reaches. Counting that holds up nobody. */
export default function HaltDialog({ run, verb, onClose }: Props) {
  return (
    <Dialog title={TITLES[verb]} open onClose={onClose}>
      {verb === "archive" ? (
        <Archive run={run} onClose={onClose} />
      ) : (
        <Halt run={run} verb={verb} onClose={onClose} />
      )}
    </Dialog>
  );
}

function Halt({ run, verb, onClose }: Props & { verb: "stop" | "pause" }) {
  const [give, { isLoading, error }] = useGiveCommandMutation();
  const { data } = useGetTreeQuery(run.id, { refetchOnMountOrArgChange: true });
  const [reason, setReason] = useState("");
  // One key for the whole dialog: pressed twice, it is one order.
  const key = useRef(newKey());
  const below = data === undefined ? null : unendedBelow(run, data);
  const order = (scope: "run" | "subtree") => {
    const more = reason.trim() === "" ? {} : { reason: reason.trim() };
    void give({ runId: run.id, verb, scope, ...more, key: `${key.current}-${scope}` })
      .unwrap()
      .then(onClose, () => undefined);
  };
  const hasBelow = below === null || below.all > 0;
  return (
    <div className={styles.dialog}>
      {verb === "stop" ? (
        <p>It ends as stopped. What it has finished stays, and is used again when the run is retried.</p>
      ) : (
        <>
          <p>
            It saves where it is at its next step and lets go of its place; Resume has it go on from there.
          </p>
          <p>
            A pause does not stop: a tool call or a step that is under way, until it ends; the time limits of
            questions, which go on to expire; commands in the background.
          </p>
        </>
      )}
      <p role="status">
        {below === null
          ? "Counting what is below it…"
          : below.all === 0
            ? "Nothing below it is under way."
            : `Below it ${below.all === 1 ? "1 run is" : `${below.all} runs are`} not at an end, ${below.running} of them running now.`}
      </p>
      <label className={styles.field}>
        Reason (may be left out)
        <input value={reason} maxLength={600} onChange={(event) => setReason(event.target.value)} />
      </label>
      <Problem error={error} />
      <div className={styles.choices}>
        <Button
          look={verb === "stop" ? "danger" : "primary"}
          disabled={isLoading}
          onClick={() => order("subtree")}
        >
          {verb === "stop" ? "Stop" : "Pause"} {hasBelow ? "it and all below it" : "it"}
        </Button>
        {hasBelow ? (
          <Button disabled={isLoading} onClick={() => order("run")}>
            {verb === "stop" ? "Stop" : "Pause"} only this run
          </Button>
        ) : null}
        <Button onClick={onClose}>Let it go on</Button>
      </div>
    </div>
  );
}

function Archive({ run, onClose }: Pick<Props, "run" | "onClose">) {
  const [change, { isLoading, error }] = useChangeRunMutation();
  return (
    <div className={styles.dialog}>
      <p>
        Lists and counts leave it out unless they are asked for archived runs. Nothing of it is removed or
        stopped, and it can be taken back here.
      </p>
      <Problem error={error} />
      <div className={styles.choices}>
        <Button
          look="primary"
          disabled={isLoading}
          onClick={() =>
            void change({ id: run.id, archived: true })
              .unwrap()
              .then(onClose, () => undefined)
          }
        >
          Archive it
        </Button>
        <Button onClick={onClose}>Leave it</Button>
      </div>
    </div>
  );
}
