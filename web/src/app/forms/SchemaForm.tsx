import { useId } from "react";
import { Button } from "../design/Button.tsx";
import { visible } from "../format/visible.ts";
import styles from "./forms.module.css";
import { below, type Faults, initialOf, isFields, type Schema, typeOf } from "./schemas.ts";

interface Props {
  schema: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  faults: Faults;
  /** Faults are shown once somebody tried to send, not while a form is still empty. */
  strict: boolean;
  /** Fields whose texts are secret: typed hidden. */
  secrets?: readonly string[];
}

interface PlaceProps extends Props {
  path: string;
  name: string;
  needed: boolean;
}

/** A form for a schema: a field for each place, with its title, description and what does not fit. */
export function SchemaForm(props: Props) {
  return (
    <div className={styles.form}>
      <Place {...props} path="" name="" needed />
    </div>
  );
}

function Place(props: PlaceProps) {
  const { schema } = props;
  if (schema.enum !== undefined || schema.const !== undefined) return <OneOf {...props} />;
  switch (typeOf(schema)) {
    case "object":
      return <Fields {...props} />;
    case "array":
      return <Items {...props} />;
    case "boolean":
      return <Mark {...props} />;
    default:
      return <Line {...props} />;
  }
}

function Fields(props: PlaceProps) {
  const { schema, value, path, name, onChange } = props;
  const fields = isFields(value) ? value : {};
  const inner = Object.entries(schema.properties ?? {}).map(([key, one]) => (
    <Place
      key={key}
      {...props}
      schema={one}
      path={below(path, key)}
      name={key}
      needed={schema.required?.includes(key) ?? false}
      value={fields[key]}
      onChange={(next) => onChange(without({ ...fields, [key]: next }))}
    />
  ));
  if (path === "") return inner;
  return (
    <fieldset className={styles.group}>
      <legend>{titleOf(schema, name)}</legend>
      {inner}
    </fieldset>
  );
}

/** Fields that a person emptied are not sent at all. */
function without(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function Items(props: PlaceProps) {
  const { schema, value, path, name, onChange } = props;
  const items = Array.isArray(value) ? value : [];
  const inner = schema.items ?? {};
  return (
    <fieldset className={styles.group}>
      <legend>{titleOf(schema, name)}</legend>
      <Fault {...props} />
      {items.map((one, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no other name than their place
        <div key={index} className={styles.item}>
          <Place
            {...props}
            schema={inner}
            path={below(path, index)}
            name={String(index + 1)}
            needed
            value={one}
            onChange={(next) => onChange(items.with(index, next))}
          />
          <Button
            look="bare"
            aria-label={`Remove ${index + 1}`}
            onClick={() => onChange(items.filter((_, at) => at !== index))}
          >
            ✕
          </Button>
        </div>
      ))}
      <Button onClick={() => onChange([...items, initialOf(inner) ?? emptyOf(inner)])}>
        Add to {titleOf(schema, name)}
      </Button>
    </fieldset>
  );
}

function emptyOf(schema: Schema): unknown {
  return { string: "", boolean: false, array: [], object: {} }[typeOf(schema) ?? ""];
}

function OneOf(props: PlaceProps) {
  const { schema, value, name, needed, onChange } = props;
  const id = useId();
  const words = schema.enum ?? [schema.const];
  const at = words.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
  return (
    <div className={styles.field}>
      <Label {...props} id={id} />
      <select
        id={id}
        value={at}
        aria-invalid={faultShown(props) !== undefined}
        aria-describedby={`${id}-about`}
        onChange={(event) => onChange(words[Number(event.target.value)])}
      >
        {at < 0 || !needed ? <option value={-1}>{needed ? "Choose" : "None"}</option> : null}
        {words.map((word, index) => (
          <option key={JSON.stringify(word)} value={index}>
            {visible(typeof word === "string" ? word : JSON.stringify(word))}
          </option>
        ))}
      </select>
      <About {...props} id={id} />
      <span className="visually-hidden">{visible(name)}</span>
    </div>
  );
}

function Mark(props: PlaceProps) {
  const { schema, name, value, onChange } = props;
  const id = useId();
  return (
    <div className={styles.field}>
      <label className={styles.mark}>
        <input
          type="checkbox"
          checked={value === true}
          aria-describedby={`${id}-about`}
          onChange={(event) => onChange(event.target.checked)}
        />
        {titleOf(schema, name)}
      </label>
      <About {...props} id={id} />
    </div>
  );
}

/** Texts longer than a line may be are typed into a field of several. */
const ONE_LINE = 120;

function Line(props: PlaceProps) {
  const { schema, value, name, onChange, secrets } = props;
  const id = useId();
  const type = typeOf(schema);
  const isNumber = type === "number" || type === "integer";
  const shown = value === undefined || value === null ? "" : String(value);
  const change = (text: string) => onChange(readLine(text, isNumber, props.needed));
  const common = {
    id,
    value: shown,
    "aria-invalid": faultShown(props) !== undefined,
    "aria-describedby": `${id}-about`,
    "aria-required": props.needed,
  };
  const isSecret = secrets?.includes(name) ?? false;
  const long =
    !isNumber &&
    !isSecret &&
    ((schema.maxLength ?? 0) > ONE_LINE || shown.length > ONE_LINE || /\n/.test(shown));
  return (
    <div className={styles.field}>
      <Label {...props} id={id} />
      {long ? (
        <textarea {...common} rows={4} onChange={(event) => change(event.target.value)} />
      ) : (
        <input
          {...common}
          type={isSecret ? "password" : "text"}
          autoComplete="off"
          inputMode={isNumber ? "decimal" : undefined}
          onChange={(event) => change(event.target.value)}
        />
      )}
      <About {...props} id={id} />
    </div>
  );
}

/** A number where one is meant and is typed; else the text, so that nothing that was typed is lost on the way. */
function readLine(text: string, isNumber: boolean, needed: boolean): unknown {
  if (text === "" && (isNumber || !needed)) return undefined;
  if (!isNumber || !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text.trim())) return text;
  return Number(text);
}

function Label({ schema, name, needed, id }: PlaceProps & { id: string }) {
  return (
    <label htmlFor={id} className={styles.label}>
      {titleOf(schema, name)}
      {needed ? null : <span className={styles.quiet}> (may be left out)</span>}
    </label>
  );
}

function About({ id, ...props }: PlaceProps & { id: string }) {
  const { schema } = props;
  return (
    <span id={`${id}-about`} className={styles.about}>
      {schema.description === undefined ? null : visible(schema.description)} <Fault {...props} />
    </span>
  );
}

function Fault(props: PlaceProps) {
  const fault = faultShown(props);
  return fault === undefined ? null : (
    <span className={styles.fault}>
      {titleOf(props.schema, props.name)} {fault}.
    </span>
  );
}

function faultShown({ faults, path, strict, value }: PlaceProps): string | undefined {
  return strict || (value !== undefined && value !== "") ? faults.get(path) : undefined;
}

function titleOf(schema: Schema, name: string): string {
  return visible(schema.title ?? (name === "" ? "Answer" : name.replaceAll("_", " ")));
}
