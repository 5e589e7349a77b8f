import { useSyncExternalStore } from "react";

/** What this browser's person has chosen. It is no part of the ledger: another browser has its own. */
export interface Settings {
  theme: "system" | "light" | "dark" | "contrast";
  /** Single keys do something. Who dictates, or mistypes often, turns it off. */
  shortcuts: boolean;
  /** Other keys than those that are given, by these; "" is none. */
  keys: Readonly<Record<string, string>>;
  /** The browser tells of what needs a person while nobody looks at the page. */
  notifications: boolean;
}

const KEY = "runstone.settings";
const DEFAULTS: Settings = { theme: "system", shortcuts: true, keys: {}, notifications: false };
const listeners = new Set<() => void>();
let current: Settings | null = null;

export function settings(): Settings {
  current ??= { ...DEFAULTS, ...stored<Partial<Settings>>(KEY, {}) };
  return current;
}

export function changeSettings(change: Partial<Settings>): void {
  current = { ...settings(), ...change };
  store(KEY, current);
  applyTheme();
  for (const listener of listeners) listener();
}

export function useSettings(): Settings {
  return useSyncExternalStore(listen, settings);
}

function listen(told: () => void): () => void {
  listeners.add(told);
  return () => listeners.delete(told);
}

/** Has what another tab of this browser changed take effect here, too; gives what ends it. */
export function listenToOtherTabs(): () => void {
  const changed = (event: StorageEvent) => {
    if (event.key !== KEY && event.key !== null) return;
    current = null;
    applyTheme();
    for (const listener of listeners) listener();
  };
  window.addEventListener("storage", changed);
  return () => window.removeEventListener("storage", changed);
}

/** Sets the theme on the page; before the first paint, too. */
export function applyTheme(): void {
  const { theme } = settings();
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** What is kept in this browser under a name; the default where that is nothing, or can't be read. */
export function stored<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** Keeps a value in this browser; where the browser keeps nothing, it is gone with the page. */
export function store(name: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // A full or forbidden storage: nothing of the ledger is in it.
  }
}
