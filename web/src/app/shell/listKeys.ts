import type { RefObject } from "react";
import { useShortcuts } from "./shortcuts.ts";

/** Has j and k lead into the list that a page is about, from wherever the keys are; in the list they move along it. */
export function useListKeys(within: RefObject<HTMLElement | null>): void {
  const begin = () => within.current?.querySelector<HTMLElement>('[role="row"][tabindex="0"]')?.focus();
  useShortcuts([
    { keys: "j", does: "To the list", act: begin },
    { keys: "k", does: "To the list", act: begin },
  ]);
}
