import { useState } from "react";
import { formatWhole } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";
import { Button } from "./Button.tsx";
import styles from "./LongText.module.css";

/** So much is shown at first, and so much at most: a text of megabytes would have the browser lay out lines for
 * seconds. All of it can be copied. */
const FIRST_CHARS = 2_000;
const MOST_CHARS = 200_000;

/** A text of an agent, as text: no markup of it is obeyed, and its direction does not reach beyond it. */
export function LongText({ text, label }: { text: string; label: string }) {
  const [all, setAll] = useState(false);
  const shown = visible(text.slice(0, all ? MOST_CHARS : FIRST_CHARS));
  const isCut = text.length > (all ? MOST_CHARS : FIRST_CHARS);
  return (
    <div className={styles.long}>
      <bdi className={styles.text}>
        {shown}
        {isCut ? "…" : ""}
      </bdi>
      {text.length > FIRST_CHARS ? (
        <div className={styles.more}>
          {all ? null : <Button onClick={() => setAll(true)}>Show {label}</Button>}
          <Button onClick={() => void navigator.clipboard.writeText(text)}>
            Copy all {formatWhole(text.length)} characters
          </Button>
        </div>
      ) : null}
    </div>
  );
}
