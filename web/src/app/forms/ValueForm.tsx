import { Button } from "../design/Button.tsx";
import styles from "./forms.module.css";
import { JsonField, readJson } from "./JsonField.tsx";
import { SchemaForm } from "./SchemaForm.tsx";
import { exampleOf, type Faults, faultsOf, hasForm, initialOf, type Schema } from "./schemas.ts";

/** What is typed into a form, so that it can be kept: `text` where a person writes JSON, else `value`. */
export interface Draft {
  value?: unknown;
  text?: string;
}

export interface Reading {
  value: unknown;
  /** What does not fit; where there is anything, the value can't be sent. */
  faults: Faults;
}

/** What a draft stands for; without one, what the form begins with. */
export function readDraft(schema: Schema | null, draft: Draft | null): Reading {
  if (draft?.text !== undefined || !hasForm(schema)) {
    const read = readJson(draft?.text ?? "");
    if (read.fault !== undefined) return { value: undefined, faults: new Map([["", read.fault]]) };
    return { value: read.value, faults: faultsOf(schema, read.value) };
  }
  const value = draft === null ? initialOf(schema) : draft.value;
  return { value, faults: faultsOf(schema, value) };
}

interface Props {
  label: string;
  schema: Schema | null;
  draft: Draft | null;
  onChange: (draft: Draft) => void;
  strict: boolean;
  secrets?: readonly string[];
  onSend?: () => void;
}

/** A value to give: a form where the schema has one, else JSON; who wants to may write JSON in any case. */
export function ValueForm({ label, schema, draft, onChange, strict, secrets, onSend }: Props) {
  const { value, faults } = readDraft(schema, draft);
  const canForm = hasForm(schema);
  const asText = !canForm || draft?.text !== undefined;
  const said = [...faults].map(([path, fault]) => (path === "" ? fault : `${path} ${fault}.`)).join(" ");
  return (
    <div className={styles.form}>
      {asText || schema === null ? (
        <JsonField
          label={label}
          text={draft?.text ?? ""}
          onChange={(text) => onChange({ ...draft, text })}
          fault={faults.size === 0 ? undefined : said}
          example={exampleOf(schema)}
          {...(onSend && { onSend })}
        />
      ) : (
        <SchemaForm
          schema={schema}
          value={value}
          faults={faults}
          strict={strict}
          onChange={(next) => onChange({ value: next })}
          {...(secrets && { secrets })}
        />
      )}
      {canForm ? (
        <Button
          look="bare"
          className={styles.switch ?? ""}
          onClick={() =>
            onChange(
              asText
                ? { value: value ?? draft?.value }
                : { value, text: JSON.stringify(value ?? {}, null, 2) },
            )
          }
        >
          {asText ? "Fill in a form" : "Write JSON"}
        </Button>
      ) : null}
    </div>
  );
}
