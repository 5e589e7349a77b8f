import { useEffect, useRef } from "react";
import { settings } from "./settings.ts";

/** A key, or two one after the other (`g r`), and what it does. */
export interface Shortcut {
  keys: string;
  does: string;
  act: () => void;
}

const active = new Set<readonly Shortcut[]>();
/** So long after the first of two keys the second may come. */
const PAUSE_MS = 1_200;
let prefix = "";
let prefixAt = 0;

/** All that there are now, for the list of keys; with the keys that the person chose for them. */
export function shortcuts(): Shortcut[] {
  const { keys } = settings();
  return [...active]
    .flat()
    .map((one) => ({ ...one, keys: keys[one.keys] ?? one.keys }))
    .filter((one) => one.keys !== "");
}

/** Makes these keys do something while the component is there; off while something is typed into. */
export function useShortcuts(given: readonly Shortcut[]): void {
  const latest = useRef(given);
  latest.current = given;
  const keys = given.map((one) => `${one.keys}\n${one.does}`).join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the keys stand for what is registered; acts are read late
  useEffect(() => {
    const registered = latest.current.map((one, index) => ({
      keys: one.keys,
      does: one.does,
      act: () => latest.current[index]?.act(),
    }));
    active.add(registered);
    return () => void active.delete(registered);
  }, [keys]);
}

/** Listens for the whole page; gives what ends it. */
export function listenToKeys(): () => void {
  const listener = (event: KeyboardEvent) => {
    if (event.defaultPrevented || isTyping(event.target)) return;
    const command = event.ctrlKey || event.metaKey;
    if (event.altKey || (command && event.key.toLowerCase() !== "k")) return;
    if (!command && !settings().shortcuts) return;
    const key = command ? "mod+k" : event.key;
    const both = prefix !== "" && event.timeStamp - prefixAt < PAUSE_MS ? `${prefix} ${key}` : "";
    const all = shortcuts();
    const found = all.findLast((one) => one.keys === both) ?? all.findLast((one) => one.keys === key);
    prefix = all.some((one) => one.keys.startsWith(`${key} `)) ? key : "";
    prefixAt = event.timeStamp;
    if (found === undefined) return;
    prefix = "";
    event.preventDefault();
    found.act();
  };
  window.addEventListener("keydown", listener);
  return () => window.removeEventListener("keydown", listener);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.closest("input, textarea, select, [role=dialog]") !== null)
  );
}
