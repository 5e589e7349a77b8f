import { useId } from "react";
import { Button } from "../design/Button.tsx";
import styles from "./forms.module.css";

export type Read = { value: unknown; fault?: undefined } | { fault: string; value?: undefined };

/** What a typed text is as JSON, or where it stops being it. */
export function readJson(text: string): Read {
  if (text.trim() === "") return { fault: "Nothing is typed yet." };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { fault: whereOf(text, error) };
  }
}

/** Engines say the position in words of their own; a person looks for line and column. */
function whereOf(text: string, error: unknown): string {
  const said = error instanceof Error ? error.message : "";
  const at = /position (\d+)/.exec(said)?.[1];
  if (at === undefined) return `This is no JSON: ${said.slice(0, 200)}.`;
  const before = text.slice(0, Number(at)).split("\n");
  return `This is no JSON from line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} on.`;
}

interface Props {
  label: string;
  text: string;
  onChange: (text: string) => void;
  /** What is wrong with it, said below. */
  fault?: string | undefined;
  /** Shown where nothing is typed, and put in by a button. */
  example?: unknown;
  rows?: number;
  onSend?: () => void;
}

/** A field for JSON, with what is wrong with it and an example of what is meant. */
export function JsonField({ label, text, onChange, fault, example, rows = 8, onSend }: Props) {
  const id = useId();
  const shown = example === undefined ? "" : JSON.stringify(example, null, 2);
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      <textarea
        id={id}
        className={styles.json}
        rows={rows}
        spellCheck={false}
        value={text}
        placeholder={shown}
        aria-invalid={fault !== undefined && text !== ""}
        aria-describedby={`${id}-about`}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSend?.();
        }}
      />
      <span id={`${id}-about`} className={styles.about}>
        {fault === undefined || text === "" ? null : <span className={styles.fault}>{fault}</span>}
        {text === "" && shown !== "" ? (
          <Button onClick={() => onChange(shown)}>Begin with the example</Button>
        ) : null}
      </span>
    </div>
  );
}
