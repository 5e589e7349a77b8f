import { type Definition, type Start, useStartRunMutation } from "@runstone/react";
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import { visible } from "../format/visible.ts";
import { useDraft } from "../forms/drafts.ts";
import { type Schema, schemaOf } from "../forms/schemas.ts";
import { type Draft, readDraft, ValueForm } from "../forms/ValueForm.tsx";
import { newKey } from "../orders/keys.ts";
import { faultOfLabels, Labels, labelsOf, type Pair } from "../orders/Labels.tsx";
import { Problem } from "../orders/Problem.tsx";
import styles from "./StartDialog.module.css";

/** What the input must be: the schema, or for a declarative workflow its fields. */
export function inputSchemaOf(definition: Definition): Schema | null {
  const schema = schemaOf(definition.input_schema);
  if (schema !== null || definition.input_fields === null) return schema;
  const fields = Object.entries(definition.input_fields);
  if (fields.length === 0) return null;
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([name, type]) => [name, fieldOf(type)])),
    required: fields.flatMap(([name, type]) => (type.endsWith("?") ? [] : [name])),
  };
}

/** A type of a declarative workflow's field: `string`, or `string?` for one that may be absent. */
function fieldOf(type: string): Schema {
  const name = type.replace("?", "");
  return name === "any" ? {} : { type: name };
}

/** Starts a registered agent or workflow and goes to its run. What is typed is kept until it has started. */
export function StartDialog({ definition, onClose }: { definition: Definition; onClose: () => void }) {
  return (
    <Dialog title={`Start ${visible(definition.name)}`} open onClose={onClose}>
      <StartForm definition={definition} onClose={onClose} />
    </Dialog>
  );
}

function StartForm({ definition, onClose }: { definition: Definition; onClose: () => void }) {
  const schema = inputSchemaOf(definition);
  // A secret is not kept in the browser: it is gone with the dialog.
  const kept = useDraft<Draft>(`start:${definition.kind}:${definition.name}`);
  const unkept = useState<Draft | null>(null);
  const [draft, setDraft] = definition.secret_fields.length > 0 ? unkept : kept;
  const [title, setTitle] = useState("");
  const [labels, setLabels] = useState<readonly Pair[]>([]);
  const [cost, setCost] = useState("");
  const [tokens, setTokens] = useState("");
  const [tried, setTried] = useState(false);
  const [start, { isLoading, error }] = useStartRunMutation();
  const [, navigate] = useLocation();
  const key = useRef(newKey());
  const noInput = schema === null && draft === null;
  const { value, faults } = noInput ? { value: {}, faults: new Map() } : readDraft(schema, draft);
  const budget = budgetOf(cost, tokens);
  const ready = faults.size === 0 && faultOfLabels(labels) === undefined && budget !== "wrong";
  const send = () => {
    setTried(true);
    if (!ready) return;
    const named = labelsOf(labels);
    const body: Start = {
      name: definition.name,
      input: value,
      ...(title.trim() !== "" && { title: title.trim() }),
      ...(Object.keys(named).length > 0 && { labels: named }),
      ...(budget !== null && { budget }),
      key: key.current,
    };
    void start(body)
      .unwrap()
      .then(
        (run) => {
          setDraft(null);
          onClose();
          navigate(`/runs/${encodeURIComponent(run.id)}`);
        },
        () => {
          key.current = newKey();
        },
      );
  };
  return (
    <form
      className={styles.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {definition.about === "" ? null : <p className={styles.quiet}>{visible(definition.about)}</p>}
      <section className={styles.part}>
        <h3>Input</h3>
        <ValueForm
          label="Input, as JSON"
          schema={schema}
          draft={draft}
          onChange={setDraft}
          strict={tried}
          secrets={definition.secret_fields}
          onSend={send}
        />
        {schema === null ? <p className={styles.quiet}>Any JSON; nothing typed is taken as {"{}"}.</p> : null}
      </section>
      <label className={styles.field}>
        Title (may be left out)
        <input
          value={title}
          maxLength={1000}
          placeholder={definition.name}
          onChange={(event) => setTitle(event.target.value)}
        />
      </label>
      <Labels pairs={labels} onChange={setLabels} />
      <fieldset className={styles.budget}>
        <legend>Budget, with all below it (may be left out)</legend>
        <label className={styles.field}>
          At most USD
          <input inputMode="decimal" value={cost} onChange={(event) => setCost(event.target.value)} />
        </label>
        <label className={styles.field}>
          At most tokens
          <input inputMode="numeric" value={tokens} onChange={(event) => setTokens(event.target.value)} />
        </label>
      </fieldset>
      {tried && budget === "wrong" ? (
        <p role="alert" className={styles.fault}>
          A budget is a number that is not below 0.
        </p>
      ) : null}
      {tried && faults.size > 0 ? (
        <p role="alert" className={styles.fault}>
          {faults.size === 1
            ? "One place of the input does not fit."
            : `${faults.size} places of the input do not fit.`}
        </p>
      ) : null}
      <Problem error={error} />
      <div className={styles.choices}>
        <Button type="submit" look="primary" disabled={isLoading}>
          {isLoading ? "Starting…" : "Start"}
        </Button>
        <Button onClick={onClose}>Not now</Button>
      </div>
    </form>
  );
}

/** The caps that were typed; null for none. */
function budgetOf(cost: string, tokens: string): NonNullable<Start["budget"]> | null | "wrong" {
  if (cost.trim() === "" && tokens.trim() === "") return null;
  const wrong = (text: string, pattern: RegExp) => text.trim() !== "" && !pattern.test(text.trim());
  if (wrong(cost, /^\d+(\.\d+)?$/) || wrong(tokens, /^\d+$/)) return "wrong";
  return {
    ...(cost.trim() !== "" && { max_cost_usd: Number(cost) }),
    ...(tokens.trim() !== "" && { max_tokens: Number(tokens) }),
  };
}
