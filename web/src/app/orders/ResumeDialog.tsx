import { type Run, useContinueRunMutation, useGetPlanQuery, useResumeRunMutation } from "@runstone/react";
import { useRef } from "react";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import { useDraft } from "../forms/drafts.ts";
import styles from "./Controls.module.css";
import { newKey } from "./keys.ts";
import { PlanView } from "./PlanView.tsx";
import { Problem } from "./Problem.tsx";

/** Goes on with a run, after showing what of its past is used again and what is done anew. */
export default function ResumeDialog({
  run,
  name,
  onClose,
}: {
  run: Run;
  name: string;
  onClose: () => void;
}) {
  const plan = useGetPlanQuery(run.id, { refetchOnMountOrArgChange: true });
  const [resume, resumed] = useResumeRunMutation();
  const [goOn, continued] = useContinueRunMutation();
  const isLoading = resumed.isLoading || continued.isLoading;
  const [draft, setDraft] = useDraft<string>(`continue:${run.id}`);
  const key = useRef(newKey());
  // A run that somebody stopped takes no message before it is retried.
  const message = run.status === "cancelled" ? "" : (draft ?? "");
  const send = () => {
    const asked = { runId: run.id, key: key.current };
    void (message.trim() === "" ? resume(asked) : goOn({ ...asked, message })).unwrap().then(
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
    <Dialog title={`${name} this run?`} open onClose={onClose}>
      <div className={styles.dialog}>
        {plan.data !== undefined ? (
          <PlanView plan={plan.data} />
        ) : plan.error !== undefined ? (
          <Problem error={plan.error} />
        ) : (
          <p role="status">Looking at what it has done…</p>
        )}
        {run.status === "cancelled" ? null : (
          <label className={styles.field}>
            Tell it something (may be left out)
            <textarea
              rows={2}
              value={message}
              onChange={(event) => setDraft(event.target.value === "" ? null : event.target.value)}
            />
          </label>
        )}
        <Problem error={message.trim() === "" ? resumed.error : continued.error} />
        <div className={styles.choices}>
          <Button look="primary" disabled={isLoading || plan.isLoading} onClick={send}>
            {isLoading ? "Sending…" : name}
          </Button>
          <Button onClick={onClose}>Leave it</Button>
        </div>
      </div>
    </Dialog>
  );
}
