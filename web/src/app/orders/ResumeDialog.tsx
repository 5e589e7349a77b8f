import {
  type Policy,
  type Run,
  useContinueRunMutation,
  useGetPlanQuery,
  useGiveCommandMutation,
  useResumeRunMutation,
} from "@runstone/react";
import { useRef, useState } from "react";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import { useDraft } from "../forms/drafts.ts";
import styles from "./Controls.module.css";
import { newKey } from "./keys.ts";
import { PlanView } from "./PlanView.tsx";
import { PolicyForm } from "./PolicyForm.tsx";
import { Problem } from "./Problem.tsx";

interface Props {
  run: Run;
  name: string;
  onClose: () => void;
}

/** Goes on with a run, after showing what of its past is used again and what is done anew. */
export default function ResumeDialog({ run, name, onClose }: Props) {
  return (
    <Dialog title={`${name} this run?`} open onClose={onClose}>
      {run.depth > 0 ? (
        <ResumePart run={run} name={name} onClose={onClose} />
      ) : (
        <ResumeWhole run={run} name={name} onClose={onClose} />
      )}
    </Dialog>
  );
}

/** A paused part of another run goes on by an order: what above it is at work takes it. */
function ResumePart({ run, name, onClose }: Props) {
  const [give, { isLoading, error }] = useGiveCommandMutation();
  const key = useRef(newKey());
  const send = () =>
    void give({ runId: run.id, verb: "resume", scope: "subtree", key: key.current })
      .unwrap()
      .then(onClose, () => undefined);
  return (
    <div className={styles.dialog}>
      <p>It goes on from where it was paused, with all that was paused with it.</p>
      <Problem error={error} />
      <div className={styles.choices}>
        <Button look="primary" disabled={isLoading} onClick={send}>
          {isLoading ? "Sending…" : name}
        </Button>
        <Button onClick={onClose}>Leave it</Button>
      </div>
    </div>
  );
}

function ResumeWhole({ run, name, onClose }: Props) {
  const [policy, setPolicy] = useState<Policy>({});
  const [simulate, setSimulate] = useState(false);
  const [resume, resumed] = useResumeRunMutation();
  const [goOn, continued] = useContinueRunMutation();
  const isLoading = resumed.isLoading || continued.isLoading;
  const [draft, setDraft] = useDraft<string>(`continue:${run.id}`);
  const key = useRef(newKey());
  // A run that somebody stopped takes no message before it is retried.
  const message = run.status === "cancelled" ? "" : (draft ?? "");
  const says = message.trim() !== "";
  // A message has it go on by the usual rules: what is shown is what would be done.
  const applied = says ? {} : policy;
  const plan = useGetPlanQuery(
    { runId: run.id, policy: applied, simulate },
    { refetchOnMountOrArgChange: true },
  );
  const shown = plan.currentData;
  const again = applied.rerun ?? [];
  const toggle = (id: string) =>
    setPolicy({
      ...policy,
      rerun: again.includes(id) ? again.filter((one) => one !== id) : [...again, id],
    });
  const send = () => {
    const asked = { runId: run.id, key: key.current };
    void (says ? goOn({ ...asked, message }) : resume({ ...asked, policy: wanted(policy) })).unwrap().then(
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
    <div className={styles.dialog}>
      {shown !== undefined ? (
        <PlanView plan={shown} {...(says ? {} : { again, onAgain: toggle })} />
      ) : plan.error !== undefined && !plan.isFetching ? (
        <Problem error={plan.error} />
      ) : (
        <p role="status">
          {simulate ? "Running its code against what is recorded…" : "Looking at what it has done…"}
        </p>
      )}
      {shown?.exact === false && !simulate ? (
        <div className={styles.choices}>
          <Button onClick={() => setSimulate(true)}>Find out exactly</Button>
          <span className={styles.state}>
            Runs the workflow&apos;s code against what is recorded; nothing is written, but what the code does
            besides, it does.
          </span>
        </div>
      ) : null}
      <PolicyForm run={run} policy={policy} disabled={says} onChange={setPolicy} />
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
      <Problem error={says ? continued.error : resumed.error} />
      <div className={styles.choices}>
        <Button look="primary" disabled={isLoading || plan.isFetching} onClick={send}>
          {isLoading ? "Sending…" : name}
        </Button>
        <Button onClick={onClose}>Leave it</Button>
      </div>
    </div>
  );
}

/** The policy without what is left as it is. */
function wanted(policy: Policy): Policy {
  const { rerun, ...rest } = policy;
  return { ...rest, ...(rerun !== undefined && rerun.length > 0 && { rerun }) };
}
