import { type StoredValue, useApiAddress } from "@runstone/react";
import { useState } from "react";
import { Button } from "../../../design/Button.tsx";
import { JsonViewer } from "../../../design/JsonViewer.tsx";
import { Notice } from "../../../design/Notice.tsx";
import { TextViewer } from "../../../design/TextViewer.tsx";
import { formatBytes } from "../../../format/numbers.ts";
import { Problem } from "../../../orders/Problem.tsx";
import styles from "./values.module.css";

/** Up to that a value comes by itself and is shown as a tree; a larger one says its size and waits. */
export const SHOWN_BYTES = 256 * 1024;
/** Up to that a value that was asked for is read as JSON; a larger one stays text. */
const PARSED_BYTES = 1024 * 1024;
/** More than that is for a file. */
const MOST_BYTES = 16 * 1024 * 1024;

/** A value: small ones at once, large ones by their size first, and then as text, which is never parsed. */
export function StoredValueView({ stored, label }: { stored: StoredValue; label: string }) {
  const [text, setText] = useState<string | null>(null);
  const [failure, setFailure] = useState<unknown>(undefined);
  const [loading, setLoading] = useState(false);
  const address = useApiAddress(`/blobs/${stored.ref ?? ""}`);
  if (!stored.cut) return <ValueView value={stored.value} label={label} />;
  if (text !== null) return <LoadedView text={text} label={label} />;
  const bytes = stored.bytes ?? 0;
  const load = () => {
    setLoading(true);
    setFailure(undefined);
    fetch(address, { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.text() : Promise.reject(new Error(`status ${answer.status}`))))
      .then(setText, (error: Error) => setFailure({ detail: `It could not be loaded: ${error.message}.` }))
      .finally(() => setLoading(false));
  };
  return (
    <Notice title={`${label} has ${formatBytes(bytes)}`}>
      <p>So much is not loaded by itself.</p>
      <div className={styles.choices}>
        {bytes <= MOST_BYTES ? (
          <Button onClick={load} disabled={loading}>
            {loading ? "Loading…" : `Load ${formatBytes(bytes)}`}
          </Button>
        ) : null}
        <a href={address} download={`${label.toLowerCase()}.bin`}>
          Download it as a file
        </a>
      </div>
      <Problem error={failure} />
    </Notice>
  );
}

/** A value that is here: text as text, anything else as a tree. */
export function ValueView({ value, label }: { value: unknown; label: string }) {
  if (value === null || value === undefined) return <Notice title={`It has no ${label.toLowerCase()}.`} />;
  if (typeof value === "string") return <TextViewer text={value} label={label} />;
  return (
    <div className={styles.tree}>
      <JsonViewer value={value} label={label} />
    </div>
  );
}

function LoadedView({ text, label }: { text: string; label: string }) {
  const [value] = useState(() => (text.length <= PARSED_BYTES ? parsed(text) : undefined));
  return value === undefined ? (
    <TextViewer text={text} label={label} />
  ) : (
    <ValueView value={value} label={label} />
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
