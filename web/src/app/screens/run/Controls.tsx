import {
  type ApiError,
  type Command,
  canResume,
  isEnded,
  type Order,
  type Run,
  useGetCommandsQuery,
  useGiveCommandMutation,
} from "@runstone/react";
import { useState } from "react";
import { Age } from "../../design/Age.tsx";
import { Button } from "../../design/Button.tsx";
import { Dialog } from "../../design/Dialog.tsx";
import styles from "./Controls.module.css";

type Verb = Order["verb"];

const NAMES: Record<Verb, string> = {
  stop: "Stop",
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
  steer: "Steer",
};

/** The verbs that fit a run as it is. */
export function verbsFor(run: Pick<Run, "status">): Verb[] {
  if (run.status === "failed" || run.status === "cancelled") return ["retry"];
  if (canResume(run.status)) return ["resume", "stop"];
  return isEnded(run.status) ? [] : ["pause", "stop"];
}

/** Orders to the run, each with how far it got: requested, acknowledged, applied or rejected. */
export function Controls({ run }: { run: Run }) {
  const [give, { isLoading, error }] = useGiveCommandMutation();
  const { data } = useGetCommandsQuery(run.id);
  const [stopping, setStopping] = useState(false);
  const order = (verb: Verb, scope?: Order["scope"]) => {
    setStopping(false);
    void give({ runId: run.id, verb, ...(scope && { scope }), key: newKey() });
  };
  const newest = newestOf(data?.items ?? []);
  return (
    <div className={styles.controls}>
      {verbsFor(run).map((verb) => (
        <Button
          key={verb}
          look={verb === "stop" ? "danger" : verb === "resume" || verb === "retry" ? "primary" : "plain"}
          disabled={isLoading}
          onClick={() => (verb === "stop" ? setStopping(true) : order(verb))}
        >
          {NAMES[verb]}
        </Button>
      ))}
      <CommandState command={newest} />
      {error === undefined ? null : (
        <p role="alert" className={styles.error}>
          {(error as ApiError).detail}
        </p>
      )}
      <Dialog title="Stop this run?" open={stopping} onClose={() => setStopping(false)}>
        <p>It ends as stopped. What it has finished stays and is used again when the run is retried.</p>
        <div className={styles.choices}>
          <Button look="danger" onClick={() => order("stop", "subtree")}>
            Stop it and all below it
          </Button>
          <Button onClick={() => order("stop", "run")}>Stop only this run</Button>
          <Button onClick={() => setStopping(false)}>Let it go on</Button>
        </div>
      </Dialog>
    </div>
  );
}

/** How far an order got. */
export function CommandState({ command }: { command: Command | undefined }) {
  if (command === undefined) return null;
  return (
    <span className={styles.state} role="status">
      {command.verb} {command.status}{" "}
      <Age at={command.ended_at ?? command.acknowledged_at ?? command.requested_at} />
      {command.reason === null ? null : `: ${command.reason}`}
    </span>
  );
}

function newestOf(commands: readonly Command[]): Command | undefined {
  return commands.reduce<Command | undefined>(
    (newest, one) => (newest === undefined || one.requested_at > newest.requested_at ? one : newest),
    undefined,
  );
}

/** A key under which an order is given once; in a page without TLS there is no `randomUUID`. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
