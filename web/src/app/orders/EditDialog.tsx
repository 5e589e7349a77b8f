import { type Run, useChangeRunMutation } from "@runstone/react";
import { useState } from "react";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import styles from "./Controls.module.css";
import { faultOfLabels, Labels, labelsOf, type Pair, pairsOf } from "./Labels.tsx";
import { Problem } from "./Problem.tsx";

/** A run's title and labels. */
export default function EditDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const [title, setTitle] = useState(run.title ?? "");
  const [labels, setLabels] = useState<readonly Pair[]>(() => pairsOf(run.labels));
  const [change, { isLoading, error }] = useChangeRunMutation();
  const fault = faultOfLabels(labels);
  const send = () => {
    if (fault !== undefined) return;
    const changes = {
      ...(title.trim() !== "" && title !== run.title && { title: title.trim() }),
      ...(JSON.stringify(labelsOf(labels)) !== JSON.stringify(run.labels) && { labels: labelsOf(labels) }),
    };
    if (Object.keys(changes).length === 0) {
      onClose();
      return;
    }
    void change({ id: run.id, ...changes })
      .unwrap()
      .then(onClose, () => undefined);
  };
  return (
    <Dialog title="Title and labels" open onClose={onClose}>
      <form
        className={styles.dialog}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <label className={styles.field}>
          Title
          <input value={title} maxLength={1000} onChange={(event) => setTitle(event.target.value)} />
        </label>
        <Labels pairs={labels} onChange={setLabels} />
        <Problem error={error} />
        <div className={styles.choices}>
          <Button type="submit" look="primary" disabled={isLoading || fault !== undefined}>
            {isLoading ? "Saving…" : "Save"}
          </Button>
          <Button onClick={onClose}>Leave it</Button>
        </div>
      </form>
    </Dialog>
  );
}
