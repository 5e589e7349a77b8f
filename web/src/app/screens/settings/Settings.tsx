import { selectConnection, useGetMetaQuery } from "@runstone/react";
import { useState } from "react";
import { useSelector } from "react-redux";
import { Button } from "../../design/Button.tsx";
import { ProblemNotice } from "../../design/Notice.tsx";
import { notificationState } from "../../shell/notifications.ts";
import { type Settings as Chosen, changeSettings, useSettings } from "../../shell/settings.ts";
import { useSigningOut } from "../../shell/signingOut.ts";
import { KeyMap } from "./KeyMap.tsx";
import styles from "./Settings.module.css";

const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
  ["contrast", "High contrast"],
] as const;

/** What this browser's person chooses, and what the server is. */
export default function Settings() {
  return (
    <div className={styles.screen}>
      <h1>Settings</h1>
      <p className={styles.quiet}>They are kept in this browser; another one has its own.</p>
      <Theme />
      <Notifications />
      <KeyMap />
      <Server />
      <Session />
    </div>
  );
}

function Theme() {
  const { theme } = useSettings();
  return (
    <fieldset className={styles.part}>
      <legend>Theme</legend>
      <div className={styles.choices}>
        {THEMES.map(([value, name]) => (
          <label key={value} className={styles.choice}>
            <input
              type="radio"
              name="theme"
              checked={theme === value}
              onChange={() => changeSettings({ theme: value satisfies Chosen["theme"] })}
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Notifications() {
  const { notifications } = useSettings();
  const [state, setState] = useState(notificationState);
  const turnOn = async () => {
    const permission = state === "asks" ? await Notification.requestPermission() : Notification.permission;
    setState(notificationState());
    changeSettings({ notifications: permission === "granted" });
  };
  const on = notifications && state === "allowed";
  return (
    <section className={styles.part} aria-labelledby="settings-notifications">
      <h2 id="settings-notifications">Notifications</h2>
      <p className={styles.quiet}>
        {state === "off"
          ? "This browser has none here."
          : state === "refused"
            ? "This browser was told not to show any from here; its own settings say otherwise."
            : "The browser tells of a new question of a run while you look elsewhere, and of nothing else."}
      </p>
      {state === "off" || state === "refused" ? null : (
        <Button
          aria-pressed={on}
          onClick={() => (on ? changeSettings({ notifications: false }) : void turnOn())}
        >
          {on ? "Turn them off" : "Turn them on"}
        </Button>
      )}
    </section>
  );
}

function Server() {
  const { data, error } = useGetMetaQuery();
  const { baseUrl, phase } = useSelector(selectConnection);
  if (data === undefined) return error === undefined ? null : <ProblemNotice error={error} />;
  const facts: [string, string][] = [
    ["Version", data.version],
    ["API", `${data.api} at ${new URL(baseUrl, window.location.href).href}`],
    ["Stream", phase],
    [
      "This workspace's code",
      data.trusted ? "trusted: its agents and workflows can be started" : "not trusted",
    ],
    ["Newest position", data.as_of],
    ["History begins after", data.oldest ?? ""],
    ["It can", data.capabilities.join(", ")],
  ];
  return (
    <section className={styles.part} aria-labelledby="settings-server">
      <h2 id="settings-server">Server</h2>
      <dl className={styles.facts}>
        {facts
          .filter(([, value]) => value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}

function Session() {
  const signOut = useSigningOut();
  return (
    <section className={styles.part} aria-labelledby="settings-session">
      <h2 id="settings-session">This browser</h2>
      <p className={styles.quiet}>
        Signed out, it shows nothing more; <code>runstone open</code> lets it in again.
      </p>
      <Button onClick={signOut}>Sign out</Button>
    </section>
  );
}
