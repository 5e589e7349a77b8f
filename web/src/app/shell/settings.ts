import { useSyncExternalStore } from "react";

/** What this browser's person has chosen. It is no part of the ledger: another browser has its own. */
export interface Settings {
  theme: "system" | "light" | "dark" | "contrast";
  /** Single keys do something. Who dictates, or mistypes often, turns it off. */
  shortcuts: boolean;
}

const KEY = "runstone.settings";
const DEFAULTS: Settings = { theme: "system", shortcuts: true };
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
  return useSyncExternalStore((told) => {
    listeners.add(told);
    return () => listeners.delete(told);
  }, settings);
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
