import { useGetAgentsQuery, useGetRunsInfiniteQuery, useGetWorkflowsQuery } from "@runstone/react";
import { useDeferredValue, useState } from "react";
import { useLocation } from "wouter";
import { Dialog } from "../design/Dialog.tsx";
import { statusWord } from "../design/StatusBadge.tsx";
import { StatusIcon } from "../design/StatusIcon.tsx";
import { nameOf, shortId } from "../format/runs.ts";
import styles from "./Palette.module.css";
import { changeSettings } from "./settings.ts";
import { shortcuts } from "./shortcuts.ts";
import { useSigningOut } from "./signingOut.ts";

interface Entry {
  id: string;
  text: string;
  hint: string;
  status?: string;
  act: () => void;
}

/** Everything that can be done or opened from here, found by typing. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Go to, or do" open={open} onClose={onClose} top>
      <PaletteList onClose={onClose} />
    </Dialog>
  );
}

function PaletteList({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const entries = useEntries(typed.trim());
  const chosen = entries[Math.min(at, entries.length - 1)];
  const run = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    entry.act();
  };
  return (
    <>
      <input
        // biome-ignore lint/a11y/noAutofocus: a palette is opened to type into it
        autoFocus
        className={styles.input}
        role="combobox"
        aria-label="Command or run"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={chosen === undefined ? undefined : `palette-${chosen.id}`}
        placeholder="A command, or words of a run"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
          if (step !== 0) setAt(Math.max(0, Math.min(entries.length - 1, at + step)));
          else if (event.key === "Enter") run(chosen);
          else return;
          event.preventDefault();
        }}
      />
      <div id="palette-list" role="listbox" aria-label="Found" className={styles.list}>
        {entries.map((entry) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys
          <div
            key={entry.id}
            id={`palette-${entry.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={entry === chosen}
            className={styles.entry}
            onClick={() => run(entry)}
          >
            {entry.status === undefined ? null : <StatusIcon status={entry.status} />}
            <span className={styles.text}>{entry.text}</span>
            <span className={styles.hint}>{entry.hint}</span>
          </div>
        ))}
      </div>
      {entries.length === 0 ? <p className={styles.hint}>Nothing is called so.</p> : null}
    </>
  );
}

function useEntries(typed: string): Entry[] {
  const [, navigate] = useLocation();
  const wanted = useDeferredValue(typed);
  const { data } = useGetRunsInfiniteQuery({ q: wanted, limit: 8 }, { skip: wanted.length < 2 });
  const themes = (["system", "light", "dark", "contrast"] as const).map((theme) => ({
    id: `theme-${theme}`,
    text: `Theme: ${theme === "contrast" ? "high contrast" : theme}`,
    hint: "",
    act: () => changeSettings({ theme }),
  }));
  const commands: Entry[] = shortcuts()
    .filter((one) => one.keys !== "mod+k")
    .map((one) => ({
      id: `key-${one.keys.replace(" ", "-")}`,
      text: one.does,
      hint: one.keys,
      act: one.act,
    }));
  const started = useStarts(typed);
  const session = { id: "sign-out", text: "Sign this browser out", hint: "", act: useSigningOut() };
  const named = [...commands, ...started, ...themes, session].filter((one) =>
    one.text.toLowerCase().includes(typed.toLowerCase()),
  );
  const runs = (wanted.length < 2 ? [] : (data?.pages[0]?.items ?? [])).map((run) => ({
    id: `run-${run.id}`,
    text: nameOf(run),
    hint: `${statusWord(run.status)} · ${shortId(run.id)}`,
    status: run.status,
    act: () => navigate(`/runs/${encodeURIComponent(run.id)}`),
  }));
  return [...named, ...runs];
}

/** What can be started here, each to its filled dialog. */
function useStarts(typed: string): Entry[] {
  const [, navigate] = useLocation();
  const skip = typed.length < 2;
  const { data: workflows } = useGetWorkflowsQuery(undefined, { skip });
  const { data: agents } = useGetAgentsQuery(undefined, { skip });
  return [...(workflows?.items ?? []), ...(agents?.items ?? [])].map((one) => ({
    id: `start-${one.kind}-${one.name}`,
    text: `Start ${one.name}`,
    hint: one.kind,
    act: () => navigate(`/workflows?start=${encodeURIComponent(`${one.kind}:${one.name}`)}`),
  }));
}
