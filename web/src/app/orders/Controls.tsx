import {
  canResume,
  isEnded,
  type Run,
  useChangeRunMutation,
  useGetCommandsQuery,
  useGetRunQuery,
} from "@runstone/react";
import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";
import { Button } from "../design/Button.tsx";
import { nameOf } from "../format/runs.ts";
import { useShortcuts } from "../shell/shortcuts.ts";
import styles from "./Controls.module.css";
import { type Act, actsFor } from "./fitting.ts";
import { OrderState } from "./OrderState.tsx";
import { Problem } from "./Problem.tsx";

/** Dialogs come when they are first opened: most looks at a run open none. */
const HaltDialog = lazy(() => import("./HaltDialog.tsx"));
const ResumeDialog = lazy(() => import("./ResumeDialog.tsx"));
const SteerDialog = lazy(() => import("./SteerDialog.tsx"));
const EditDialog = lazy(() => import("./EditDialog.tsx"));
const ForkDialog = lazy(() => import("./ForkDialog.tsx"));

type Opened = Act | "edit" | "archive" | null;

const NAMES: Record<Act, string> = {
  resume: "Resume",
  retry: "Retry",
  pause: "Pause",
  steer: "Message",
  stop: "Stop",
  fork: "Fork",
};

const KEYS: Record<Act, string> = { resume: "r", retry: "r", pause: "p", steer: "m", stop: "x x", fork: "f" };

const LOOKS = { resume: "primary", retry: "primary", stop: "danger" } as const;

/** What a person can do to the run, and how far the last order got, as the ledger has it. */
export function Controls({ run }: { run: Run }) {
  const [opened, setOpened] = useState<Opened>(null);
  const [change, { isLoading, error }] = useChangeRunMutation();
  // Nobody told of the orders while the run was not looked at.
  const { data } = useGetCommandsQuery(run.id, { refetchOnMountOrArgChange: true });
  const acts = actsFor(run);
  const mark = (marks: { pinned?: boolean; archived?: boolean }) => void change({ id: run.id, ...marks });
  useShortcuts([
    ...acts.map((act) => ({ keys: KEYS[act], does: `${NAMES[act]}…`, act: () => setOpened(act) })),
    { keys: "e", does: "Rename, and label", act: () => setOpened("edit") },
    { keys: "*", does: run.pinned ? "Unpin" : "Pin", act: () => mark({ pinned: !run.pinned }) },
  ]);
  const close = () => setOpened(null);
  return (
    <div className={styles.controls}>
      {acts.map((act) => (
        <Button
          key={act}
          look={LOOKS[act as keyof typeof LOOKS] ?? "plain"}
          aria-keyshortcuts={KEYS[act]}
          onClick={() => setOpened(act)}
        >
          {NAMES[act]}
        </Button>
      ))}
      {run.depth > 0 && isEnded(run.status) && run.status !== "completed" ? <Whole run={run} /> : null}
      <Button look="bare" aria-keyshortcuts="e" onClick={() => setOpened("edit")}>
        Edit
      </Button>
      <Button
        look="bare"
        aria-pressed={run.pinned ?? false}
        disabled={isLoading}
        onClick={() => mark({ pinned: !run.pinned })}
      >
        {run.pinned ? "Unpin" : "Pin"}
      </Button>
      <Button
        look="bare"
        disabled={isLoading}
        onClick={() => (run.archived ? mark({ archived: false }) : setOpened("archive"))}
      >
        {run.archived ? "Unarchive" : "Archive"}
      </Button>
      <OrderState orders={data?.items ?? []} />
      <Problem error={error} />
      <Suspense fallback={null}>
        {opened === "stop" || opened === "pause" || opened === "archive" ? (
          <HaltDialog run={run} verb={opened} onClose={close} />
        ) : null}
        {opened === "resume" || opened === "retry" ? (
          <ResumeDialog run={run} name={NAMES[opened]} onClose={close} />
        ) : null}
        {opened === "steer" ? <SteerDialog run={run} onClose={close} /> : null}
        {opened === "edit" ? <EditDialog run={run} onClose={close} /> : null}
        {opened === "fork" ? <ForkDialog run={run} onClose={close} /> : null}
      </Suspense>
    </div>
  );
}

/** A part of a run that has ended is brought on by the whole: where to go for that. */
function Whole({ run }: { run: Run }) {
  const { data: whole } = useGetRunQuery(run.root_run_id);
  if (whole === undefined) return null;
  return (
    <span className={styles.state}>
      {canResume(whole.status) ? "It goes on with the whole: resume " : "It is a part of "}
      <Link href={`/runs/${encodeURIComponent(whole.id)}`}>{nameOf(whole)}</Link>
    </span>
  );
}
