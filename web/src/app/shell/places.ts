import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { store, stored } from "./settings.ts";

/** Where what scrolls was left, by name: kept in this browser, for the places that changed last. */
const KEY = "runstone.places";
const MOST = 200;
/** Scrolling tells of each frame; it is written down when it has come to rest. */
const SOON_MS = 150;

const changed = new Map<string, unknown>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** The place that was kept under that name. */
export function placeOf<T>(name: string, otherwise: T): T {
  const place = changed.has(name) ? changed.get(name) : kept().get(name);
  return (place ?? otherwise) as T;
}

/** Keeps a place; `undefined` is where one is without any. */
export function keepPlace(name: string, place: unknown): void {
  changed.delete(name);
  changed.set(name, place);
  timer ??= setTimeout(writeDown, SOON_MS);
}

/** Puts what changed here beside what other tabs have kept. */
function writeDown(): void {
  clearTimeout(timer);
  timer = undefined;
  if (changed.size === 0) return;
  const all = kept();
  for (const [name, place] of changed) {
    all.delete(name);
    if (place !== undefined) all.set(name, place);
  }
  changed.clear();
  store(KEY, [...all].slice(-MOST));
}

window.addEventListener("pagehide", writeDown);

function kept(): Map<string, unknown> {
  const all = stored<[string, unknown][]>(KEY, []);
  return new Map(Array.isArray(all) ? all : []);
}

/** For a list that has its rows at once. */
export function useKeptScroll(name: string): { top: number; onScroll: (top: number) => void } {
  return { top: placeOf(name, 0), onScroll: (top) => keepPlace(name, top || undefined) };
}

interface Pages {
  /** How many rows are there, and how high the lowest of them is. */
  rows: number;
  height: number;
  /** Whether more can be fetched, and what does so. */
  hasMore: boolean;
  more: () => void;
}

/** For a list that comes in pages: who comes back to a place far down sees it once what is above it is there. */
export function useKeptPages(name: string, { rows, height, hasMore, more }: Pages) {
  const scroll = useKeptScroll(name);
  const [back, setBack] = useState({ name, top: scroll.top });
  const top = back.name === name ? back.top : scroll.top;
  const reaches = !hasMore || rows * height >= top;
  useEffect(() => {
    if (rows === 0 || top === 0) return;
    if (reaches) setBack({ name, top: 0 });
    else more();
  }, [name, rows, top, reaches, more]);
  return { scroll, reaches };
}

/** So long what comes in late may still move an element to where it was. */
const LATE_MS = 10_000;
const OWN_ACTS = ["wheel", "touchstart", "pointerdown", "keydown"];

/** For anything else that scrolls: it is moved to where it was as soon as there is enough in it, until the person
 * scrolls. Gives the element's reference. */
export function useKeptElement<T extends HTMLElement>(name: string) {
  const element = useRef<T>(null);
  useLayoutEffect(() => {
    const box = element.current;
    if (box === null) return;
    const wanted = placeOf(name, 0);
    let isBack = false;
    const moved = () => {
      if (isBack) keepPlace(name, box.scrollTop || undefined);
    };
    const arrive = () => {
      isBack = true;
      watching.disconnect();
      clearTimeout(late);
      for (const act of OWN_ACTS) box.removeEventListener(act, arrive);
    };
    const move = () => {
      box.scrollTop = wanted;
      if (box.scrollTop >= wanted - 1) arrive();
    };
    const watching = new MutationObserver(move);
    const late = setTimeout(arrive, LATE_MS);
    for (const act of OWN_ACTS) box.addEventListener(act, arrive, { passive: true });
    box.addEventListener("scroll", moved, { passive: true });
    watching.observe(box, { childList: true, subtree: true, characterData: true });
    move();
    return () => {
      arrive();
      box.removeEventListener("scroll", moved);
    };
  }, [name]);
  return element;
}
