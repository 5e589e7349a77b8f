import { fieldsOf, type RunEvent, useGetEventQuery } from "@runstone/react";
import { Button } from "../../design/Button.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { lineText } from "../../format/visible.ts";
import styles from "./Events.module.css";
import { hasWord } from "./eventLines.ts";
import { SHOWN_BYTES, StoredValueView } from "./values/StoredValueView.tsx";

interface Props {
  runId: string;
  seq: number;
  onClose: () => void;
}

/** One event with all of its payload: a large one says its size and is fetched when that is asked for. */
export function EventDetail({ runId, seq, onClose }: Props) {
  const { data, error } = useGetEventQuery({ runId, seq, maxBytes: SHOWN_BYTES });
  return (
    <aside className={styles.detail} aria-label="Event">
      <div className={styles.detailHead}>
        <h2>
          {seq} {data?.type ?? ""}
        </h2>
        <Button look="bare" aria-label="Close the event" onClick={onClose}>
          ✕
        </Button>
      </div>
      {data === undefined ? null : <Payload event={data} />}
      {data === null ? (
        <p className={styles.count}>There is no such event; it may have been removed.</p>
      ) : null}
      {error === undefined ? null : <ProblemNotice error={error} />}
    </aside>
  );
}

function Payload({ event }: { event: RunEvent | null }) {
  if (event === null) return null;
  const callId = fieldsOf(event.payload).call_id;
  const { payload_ref: ref, payload_bytes: bytes } = event;
  return (
    <>
      <p className={styles.count}>
        attempt {event.attempt} · position {event.position}
        {hasWord(callId) ? ` · call ${lineText(String(callId))}` : ""}
      </p>
      <StoredValueView
        stored={
          ref === undefined ? { value: event.payload } : { value: null, ref, bytes: bytes ?? 0, cut: true }
        }
        label="Payload"
      />
    </>
  );
}
