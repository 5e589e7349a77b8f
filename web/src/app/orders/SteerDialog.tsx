import { type Run, useGiveCommandMutation } from "@runstone/react";
import { useRef } from "react";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import { useDraft } from "../forms/drafts.ts";
import styles from "./Controls.module.css";
import { newKey } from "./keys.ts";
import { Problem } from "./Problem.tsx";

/** A message to a run at work; it has it at its next step. What is typed is kept until it is sent. */
export default function SteerDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const [give, { isLoading, error }] = useGiveCommandMutation();
  const [draft, setDraft] = useDraft<string>(`steer:${run.id}`);
  const key = useRef(newKey());
  const text = draft ?? "";
  const send = () => {
    if (text.trim() === "") return;
    void give({ runId: run.id, verb: "steer", message: text, key: key.current })
      .unwrap()
      .then(
        () => {
          setDraft(null);
          onClose();
        },
        () => {
          key.current = newKey();
        },
      );
  };
  return (
    <Dialog title="A message to this run" open onClose={onClose}>
      <form
        className={styles.dialog}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <p>
          It is in its thread, and the agent has it at its next step. Whether it did is shown with the order.
        </p>
        <label className={styles.field}>
          Message
          <textarea
            autoFocus
            rows={4}
            value={text}
            onChange={(event) => setDraft(event.target.value === "" ? null : event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
            }}
          />
        </label>
        <Problem error={error} />
        <div className={styles.choices}>
          <Button type="submit" look="primary" disabled={isLoading || text.trim() === ""}>
            {isLoading ? "Sending…" : "Send"}
          </Button>
          <Button onClick={onClose}>Not now</Button>
        </div>
      </form>
    </Dialog>
  );
}
