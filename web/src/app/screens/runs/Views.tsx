import {
  type ApiError,
  type SavedView,
  useDeleteViewMutation,
  useGetViewsQuery,
  useSaveViewMutation,
} from "@runstone/react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Button } from "../../design/Button.tsx";
import { Dialog } from "../../design/Dialog.tsx";
import { visible } from "../../format/visible.ts";
import type { RunsState } from "../../location/filters.ts";
import styles from "./Views.module.css";
import { fromView, SYSTEM_VIEWS, sameState, toView } from "./views.ts";

interface Props {
  state: RunsState;
  onChoose: (state: RunsState, options: { push: boolean }) => void;
}

/** Views of the list: those that are always there, and those that somebody saved in the ledger for all who look. */
export function Views({ state, onChoose }: Props) {
  const { data: views = [], isSuccess } = useGetViewsQuery();
  const [saving, setSaving] = useState(false);
  const [remove] = useDeleteViewMutation();
  const isFirst = useRef(window.location.search === "");
  const standard = views.find((view) => view.default);
  useEffect(() => {
    // Only who comes without a wish of their own gets the default: a link shows what it says.
    if (!isSuccess || !isFirst.current) return;
    isFirst.current = false;
    if (standard !== undefined) onChoose(fromView(standard), { push: false });
  }, [isSuccess, standard, onChoose]);
  const choose = (chosen: RunsState) => {
    isFirst.current = false;
    onChoose(chosen, { push: true });
  };
  const own = views.find((view) => sameState(fromView(view), state));
  const known = own !== undefined || SYSTEM_VIEWS.some((view) => sameState(view.state, state));
  return (
    <nav className={styles.views} aria-label="Views">
      {SYSTEM_VIEWS.map((view) => (
        <ViewButton
          key={view.name}
          name={view.name}
          isChosen={sameState(view.state, state)}
          onClick={() => choose(view.state)}
        />
      ))}
      {views.map((view) => (
        <ViewButton
          key={view.id}
          name={view.default ? `${view.name} (default)` : view.name}
          isChosen={view === own}
          onClick={() => choose(fromView(view))}
        />
      ))}
      {own === undefined ? null : (
        <Button look="bare" onClick={() => void remove({ id: own.id, revision: own.revision })}>
          Delete this view
        </Button>
      )}
      {known ? null : <Button onClick={() => setSaving(true)}>Save as a view</Button>}
      <Dialog title="Save this view" open={saving} onClose={() => setSaving(false)}>
        <SaveView state={state} standard={standard} onDone={() => setSaving(false)} />
      </Dialog>
    </nav>
  );
}

function ViewButton({ name, isChosen, onClick }: { name: string; isChosen: boolean; onClick: () => void }) {
  return (
    <button type="button" className={styles.view} aria-pressed={isChosen} onClick={onClick}>
      {name}
    </button>
  );
}

interface SaveProps {
  state: RunsState;
  standard: SavedView | undefined;
  onDone: () => void;
}

function SaveView({ state, standard, onDone }: SaveProps) {
  const [save, { error, isLoading }] = useSaveViewMutation();
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const isDefault = given.get("default") === "on";
    const name = String(given.get("name") ?? "").trim();
    const done = await save({ ...toView(state), name, default: isDefault });
    if (done.error === undefined) onDone();
  };
  return (
    <form className={styles.form} onSubmit={(event) => void submit(event)}>
      <label>
        Name
        <input name="name" required maxLength={80} autoComplete="off" />
      </label>
      <label className={styles.check}>
        <input type="checkbox" name="default" />
        Show it first when the runs are opened{standard === undefined ? "" : `, instead of ${standard.name}`}
      </label>
      <p className={styles.quiet}>It is kept in the ledger: everybody who uses this workspace has it.</p>
      {error === undefined ? null : <p role="alert">{visible((error as ApiError).detail)}</p>}
      <Button look="primary" type="submit" disabled={isLoading}>
        Save
      </Button>
    </form>
  );
}
