import { Button } from "../design/Button.tsx";
import styles from "./Controls.module.css";

export interface Pair {
  id: number;
  name: string;
  value: string;
}

let last = 0;

export function pairsOf(labels: Readonly<Record<string, string>>): Pair[] {
  return Object.entries(labels).map(([name, value]) => ({ id: ++last, name, value }));
}

export function labelsOf(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(
    pairs.filter(({ name }) => name.trim() !== "").map(({ name, value }) => [name.trim(), value]),
  );
}

/** What is wrong with them: a value without a name, or one name twice. */
export function faultOfLabels(pairs: readonly Pair[]): string | undefined {
  const names = pairs.map(({ name }) => name.trim());
  if (pairs.some(({ name, value }) => name.trim() === "" && value !== "")) return "A label needs a name.";
  const twice = names.find((name, index) => name !== "" && names.indexOf(name) !== index);
  return twice === undefined ? undefined : `There are two labels ${twice}.`;
}

/** Labels as lines of name and value. */
export function Labels({ pairs, onChange }: { pairs: readonly Pair[]; onChange: (pairs: Pair[]) => void }) {
  const fault = faultOfLabels(pairs);
  const set = (id: number, change: Partial<Pair>) =>
    onChange(pairs.map((pair) => (pair.id === id ? { ...pair, ...change } : pair)));
  return (
    <fieldset className={styles.labels}>
      <legend>Labels</legend>
      {pairs.map((pair, index) => (
        <div key={pair.id} className={styles.pair}>
          <input
            aria-label={`Name of label ${index + 1}`}
            placeholder="name"
            value={pair.name}
            onChange={(event) => set(pair.id, { name: event.target.value })}
          />
          <input
            aria-label={`Value of label ${index + 1}`}
            placeholder="value"
            value={pair.value}
            onChange={(event) => set(pair.id, { value: event.target.value })}
          />
          <Button
            look="bare"
            aria-label={`Remove label ${index + 1}`}
            onClick={() => onChange(pairs.filter((one) => one.id !== pair.id))}
          >
            ✕
          </Button>
        </div>
      ))}
      {fault === undefined ? null : <p className={styles.error}>{fault}</p>}
      <Button onClick={() => onChange([...pairs, { id: ++last, name: "", value: "" }])}>Add a label</Button>
    </fieldset>
  );
}
