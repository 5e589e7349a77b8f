import { lazy, Suspense, useEffect, useState } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import { Button } from "../design/Button.tsx";
import { Notice } from "../design/Notice.tsx";
import { SCREENS } from "../screens/table.ts";
import { useAttention } from "./attention.ts";
import { ConnectionBanner, ConnectionState } from "./ConnectionState.tsx";
import { KeyList } from "./KeyList.tsx";
import { Navigation } from "./Navigation.tsx";
import { useNotifications } from "./notifications.ts";
import { Palette } from "./Palette.tsx";
import { useKeptElement } from "./places.ts";
import styles from "./Shell.module.css";
import { listenToOtherTabs } from "./settings.ts";
import { listenToKeys, type Shortcut, useShortcuts } from "./shortcuts.ts";

const BulkOrders = lazy(() => import("./BulkOrders.tsx"));

/** What is around every screen: navigation, connection, palette and keys. */
export function Shell() {
  const [path, navigate] = useLocation();
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const main = useKeptElement<HTMLElement>(`main:${path}`);
  useEffect(listenToKeys, []);
  useEffect(listenToOtherTabs, []);
  const waiting = useAttention();
  useNotifications((runId) => navigate(`/runs/${encodeURIComponent(runId)}`));
  const goTo: Shortcut[] = SCREENS.flatMap(({ keys, path: to, name }) =>
    keys === undefined ? [] : [{ keys, does: `Go to ${name}`, act: () => navigate(to) }],
  );
  useShortcuts([
    ...goTo,
    { keys: "mod+k", does: "Open the command palette", act: () => setOpen("palette") },
    { keys: "?", does: "Show the keys", act: () => setOpen("keys") },
  ]);
  return (
    <div className={styles.shell}>
      <button type="button" className={styles.skip} onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header className={styles.bar}>
        <Link href="/" className={styles.brand}>
          Runstone
        </Link>
        <Navigation path={path} onKeys={() => setOpen("keys")} />
        <span className={styles.space} />
        <ConnectionState />
        <Button
          look="bare"
          onClick={() => setOpen("palette")}
          aria-label="Command palette"
          title="Command palette"
          aria-keyshortcuts="Control+K"
        >
          <svg
            width="16"
            height="16"
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.5"
            aria-hidden="true"
          >
            <circle cx="7" cy="7" r="4.5" />
            <path d="M10.5 10.5L14 14" />
          </svg>
        </Button>
        <Button
          look="bare"
          className={styles.wide ?? ""}
          onClick={() => setOpen("keys")}
          aria-label="Keys and settings"
          title="Keys and settings"
        >
          <svg
            width="16"
            height="16"
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.5"
            aria-hidden="true"
          >
            <rect x="1.5" y="4" width="13" height="8" rx="1.5" />
            <path d="M4 6.8h.5M7.7 6.8h.6M11.5 6.8h.5M5 9.5h6" />
          </svg>
        </Button>
      </header>
      <ConnectionBanner />
      <p className="visually-hidden" aria-live="polite">
        {waiting === 0 ? "" : waiting === 1 ? "1 run needs a person" : `${waiting} runs need a person`}
      </p>
      <Suspense fallback={null}>
        <BulkOrders />
      </Suspense>
      <main id="main" ref={main} tabIndex={-1} className={styles.main}>
        <Suspense fallback={<p className={styles.loading}>Loading…</p>}>
          <Switch>
            {SCREENS.map((screen) => (
              <Route key={screen.path} path={screen.path} component={screen.part} />
            ))}
            <Route>
              <Notice title="There is no such page.">
                <Link href="/">Go to Home</Link>
              </Notice>
            </Route>
          </Switch>
        </Suspense>
      </main>
      <Palette open={open === "palette"} onClose={() => setOpen(null)} />
      <KeyList open={open === "keys"} onClose={() => setOpen(null)} />
    </div>
  );
}
