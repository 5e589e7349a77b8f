import { useState } from "react";
import { Button } from "../../design/Button.tsx";
import { changeSettings, useSettings } from "../../shell/settings.ts";
import { SCREENS } from "../table.ts";
import styles from "./Settings.module.css";

/** Keys that can be others; those of a run do something on its page. */
const KEYS: readonly { keys: string; does: string }[] = [
  ...SCREENS.flatMap(({ keys, name }) => (keys === undefined ? [] : [{ keys, does: `Go to ${name}` }])),
  { keys: "?", does: "Show the keys" },
  { keys: "x x", does: "Stop the run…" },
  { keys: "p", does: "Pause the run…" },
  { keys: "r", does: "Resume or retry the run…" },
  { keys: "m", does: "Send the run a message…" },
  { keys: "f", does: "Fork the run…" },
  { keys: "e", does: "Rename and label the run…" },
  { keys: "*", does: "Pin the run" },
];

/** The keys, each of which can be another, or none. */
export function KeyMap() {
  const { shortcuts: on, keys } = useSettings();
  const taken = KEYS.map((one) => keys[one.keys] ?? one.keys);
  const set = (given: string, chosen: string) => {
    const { [given]: _before, ...rest } = keys;
    changeSettings({ keys: chosen === given ? rest : { ...rest, [given]: chosen } });
  };
  return (
    <section className={styles.part} aria-labelledby="settings-keys">
      <h2 id="settings-keys">Keys</h2>
      <label className={styles.choice}>
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => changeSettings({ shortcuts: event.target.checked })}
        />
        Single keys do something
      </label>
      <p className={styles.quiet}>One key, or two with a space between them; nothing turns it off.</p>
      <ul className={styles.keys}>
        {KEYS.map((one) => (
          <KeyField
            key={`${one.keys}=${keys[one.keys] ?? one.keys}`}
            does={one.does}
            given={one.keys}
            chosen={keys[one.keys] ?? one.keys}
            isTaken={(typed) =>
              typed !== "" && typed !== (keys[one.keys] ?? one.keys) && taken.includes(typed)
            }
            onChange={(chosen) => set(one.keys, chosen)}
          />
        ))}
      </ul>
      {Object.keys(keys).length === 0 ? null : (
        <Button onClick={() => changeSettings({ keys: {} })}>All keys as they were</Button>
      )}
    </section>
  );
}

interface FieldProps {
  does: string;
  given: string;
  chosen: string;
  isTaken: (typed: string) => boolean;
  onChange: (chosen: string) => void;
}

function KeyField({ does, given, chosen, isTaken, onChange }: FieldProps) {
  const [typed, setTyped] = useState(chosen);
  const fault = faultOf(typed.trim(), isTaken);
  const keep = () => {
    if (fault === undefined && typed.trim() !== chosen) onChange(typed.trim());
  };
  return (
    <li className={styles.key}>
      <label>
        <span>{does}</span>
        <input
          value={typed}
          maxLength={3}
          placeholder="none"
          title={`As given: ${given}`}
          aria-invalid={fault !== undefined}
          onChange={(event) => setTyped(event.target.value)}
          onBlur={keep}
          onKeyDown={(event) => {
            if (event.key === "Enter") keep();
          }}
        />
      </label>
      {fault === undefined ? null : <span className={styles.fault}>{fault}</span>}
    </li>
  );
}

function faultOf(typed: string, isTaken: (typed: string) => boolean): string | undefined {
  if (!/^(\S( \S)?)?$/u.test(typed)) return "One key, or two with a space between.";
  return isTaken(typed) ? "That key does something else." : undefined;
}
