import { useCallback, useEffect, useState } from "react";
import { store, stored } from "../shell/settings.ts";

/** What is typed and not sent, kept in this browser under a name and shared among its tabs; null is nothing. */
export function useDraft<T>(name: string): [T | null, (draft: T | null) => void] {
  const key = `runstone.draft:${name}`;
  const [draft, setDraft] = useState<T | null>(() => stored<T | null>(key, null));
  useEffect(() => {
    setDraft(stored<T | null>(key, null));
    const told = (event: StorageEvent) => {
      if (event.key === key || event.key === null) setDraft(stored<T | null>(key, null));
    };
    window.addEventListener("storage", told);
    return () => window.removeEventListener("storage", told);
  }, [key]);
  const change = useCallback(
    (next: T | null) => {
      setDraft(next);
      store(key, next ?? undefined);
    },
    [key],
  );
  return [draft, change];
}
