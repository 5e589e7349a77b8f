import { Link } from "wouter";
import { Button } from "../design/Button.tsx";
import { Dialog } from "../design/Dialog.tsx";
import styles from "./KeyList.module.css";
import { changeSettings, useSettings } from "./settings.ts";
import { shortcuts } from "./shortcuts.ts";
import { useSigningOut } from "./signingOut.ts";

const IN_LISTS = [
  { keys: "j k", does: "Next and previous row" },
  { keys: "Enter", does: "Open the row" },
  { keys: "Space", does: "Peek at the row; j and k peek at others, Escape closes it" },
  { keys: "← →", does: "Fold and unfold in a tree" },
];

/** The keys that do something here, and the settings of this browser. */
export function KeyList({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { theme, shortcuts: on } = useSettings();
  const signOut = useSigningOut();
  return (
    <Dialog title="Keys and settings" open={open} onClose={onClose}>
      <dl className={styles.keys}>
        {[...(open ? shortcuts() : []), ...IN_LISTS].map((one) => (
          <div key={`${one.keys} ${one.does}`}>
            <dt>
              <kbd>{one.keys.replace("mod+k", "Ctrl K")}</kbd>
            </dt>
            <dd>{one.does}</dd>
          </div>
        ))}
      </dl>
      <label className={styles.setting}>
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => changeSettings({ shortcuts: event.target.checked })}
        />
        Single keys do something
      </label>
      <label className={styles.setting}>
        Theme
        <select
          value={theme}
          onChange={(event) => changeSettings({ theme: event.target.value as typeof theme })}
        >
          <option value="system">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
          <option value="contrast">High contrast</option>
        </select>
      </label>
      <div className={styles.foot}>
        <Link href="/settings" onClick={onClose}>
          All settings, and other keys
        </Link>
        <Button onClick={signOut}>Sign out</Button>
      </div>
    </Dialog>
  );
}
