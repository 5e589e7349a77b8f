import styles from "./StatusBadge.module.css";
import { StatusIcon } from "./StatusIcon.tsx";

const WORDS: Record<string, string> = { awaiting_user: "needs input", cancelled: "stopped" };

const TONES: Record<string, string> = {
  awaiting_user: "needsInput",
  failed: "failed",
  interrupted: "stopped",
  running: "working",
  waiting: "working",
  pending: "working",
  completed: "completed",
};

/** The word for a status, as people say it. */
export function statusWord(status: string): string {
  return WORDS[status] ?? status.replaceAll("_", " ");
}

/** A status: icon, word and colour. */
export function StatusBadge({ status, compact = false }: { status: string; compact?: boolean }) {
  const tone = styles[TONES[status] ?? "quiet"];
  return (
    <span className={`${styles.badge} ${tone}`} title={compact ? statusWord(status) : undefined}>
      <StatusIcon status={status} />
      <span className={compact ? "visually-hidden" : undefined}>{statusWord(status)}</span>
    </span>
  );
}
