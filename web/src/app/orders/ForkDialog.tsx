import {
  type Fork,
  type Run,
  useForkRunMutation,
  useGetCheckpointsQuery,
  useGetValueQuery,
  usePlanForkQuery,
} from "@runstone/react";
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import { formatCount } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";
import { useDraft } from "../forms/drafts.ts";
import { JsonField, readJson } from "../forms/JsonField.tsx";
import styles from "./Controls.module.css";
import { newKey } from "./keys.ts";
import { PlanView } from "./PlanView.tsx";
import { Problem } from "./Problem.tsx";

interface Props {
  run: Run;
  /** The checkpoint from which it goes on; without one that can be chosen. */
  checkpoint?: number;
  onClose: () => void;
}

/** An input that is larger is not put into a field to be edited. */
const EDITED_BYTES = 256 * 1024;

/** A new run that knows what this one knew: first what it would reuse, then, when that is confirmed, the run. */
export default function ForkDialog({ run, checkpoint, onClose }: Props) {
  const [from, setFrom] = useState<number | undefined>(checkpoint);
  const [draft, setDraft] = useDraft<string>(`fork:${run.id}`);
  const [planned, setPlanned] = useState<Fork | null>(null);
  const saved = useGetCheckpointsQuery(run.id);
  const given = useGetValueQuery({ runId: run.id, part: "input", maxBytes: EDITED_BYTES });
  const before =
    given.data?.value === undefined || given.data.cut ? "" : JSON.stringify(given.data.value, null, 2);
  const text = draft ?? before;
  const read = readJson(text);
  const edited = draft !== null && draft.trim() !== before.trim();
  const fork: Fork = {
    runId: run.id,
    ...(from !== undefined && { checkpoint: from }),
    ...(edited && read.fault === undefined && { input: read.value }),
  };
  const isPlanned = planned !== null && JSON.stringify(planned) === JSON.stringify(fork);
  return (
    <Dialog title="Fork this run" open onClose={onClose}>
      <div className={styles.dialog}>
        <p>
          A new run that knows what this one knew; this one stays as it is. Equal work is used again, and only
          what the change reaches is done anew.
        </p>
        <label className={styles.field}>
          From
          <select value={from ?? 0} onChange={(event) => setFrom(Number(event.target.value) || undefined)}>
            <option value={0}>the start, with all that it knew</option>
            {[...(saved.data?.items ?? [])].reverse().map((one) => (
              <option key={one.number} value={one.number}>
                checkpoint {one.number}
                {one.label === null ? "" : `: ${visible(one.label.slice(0, 80))}`}
              </option>
            ))}
          </select>
        </label>
        {given.isLoading ? (
          // A field that is filled only when the answer comes would mix it with what was typed meanwhile.
          <p role="status">Loading its input…</p>
        ) : given.data?.cut ? (
          <p className={styles.state}>
            Its input has {formatCount(given.data.bytes ?? 0)} bytes and is taken as it is.
          </p>
        ) : (
          <>
            <JsonField
              label="Input"
              text={text}
              onChange={setDraft}
              fault={edited ? read.fault : undefined}
              rows={6}
            />
            {edited ? (
              <div className={styles.choices}>
                <Button onClick={() => setDraft(null)}>Take the edits back</Button>
              </div>
            ) : null}
          </>
        )}
        {isPlanned ? (
          <Confirm fork={fork} onMade={() => setDraft(null)} onClose={onClose} />
        ) : (
          <div className={styles.choices}>
            <Button
              look="primary"
              disabled={given.isLoading || (edited && read.fault !== undefined)}
              onClick={() => setPlanned(fork)}
            >
              Show what it would do
            </Button>
            <Button onClick={onClose}>Leave it</Button>
          </div>
        )}
      </div>
    </Dialog>
  );
}

function Confirm({ fork, onMade, onClose }: { fork: Fork; onMade: () => void; onClose: () => void }) {
  const plan = usePlanForkQuery(fork, { refetchOnMountOrArgChange: true });
  const [make, { isLoading, error }] = useForkRunMutation();
  const [, navigate] = useLocation();
  const key = useRef(newKey());
  const send = () => {
    void make({ ...fork, key: key.current })
      .unwrap()
      .then(
        (run) => {
          onMade();
          onClose();
          navigate(`/runs/${encodeURIComponent(run.id)}`);
        },
        () => {
          key.current = newKey();
        },
      );
  };
  if (plan.error !== undefined) return <Problem error={plan.error} />;
  if (plan.data === undefined) return <p role="status">Looking at what it would do…</p>;
  return (
    <>
      <PlanView plan={plan.data} />
      <Problem error={error} />
      <div className={styles.choices}>
        <Button look="primary" disabled={isLoading} onClick={send}>
          {isLoading ? "Forking…" : "Fork and start"}
        </Button>
        <Button onClick={onClose}>Leave it</Button>
      </div>
    </>
  );
}
