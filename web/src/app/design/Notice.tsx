import type { ApiError } from "@runstone/react";
import type { ReactNode } from "react";
import { visible } from "../format/visible.ts";
import styles from "./Notice.module.css";

/** What stands where there is nothing to show, and why. */
export function Notice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={styles.notice}>
      <h1 className={styles.title}>{title}</h1>
      {children}
    </div>
  );
}

/** A refusal of the server, with what to do next. */
export function ProblemNotice({ error }: { error: unknown }) {
  const problem = error as Partial<ApiError>;
  // The banner above says what to do about it.
  if (problem.status === 401) return <Notice title="Not signed in" />;
  return (
    <div className={styles.notice} role="alert">
      <h1 className={styles.title}>{visible(problem.detail ?? "The server's answer could not be read.")}</h1>
      {problem.hint ? <p className={styles.hint}>{visible(problem.hint)}</p> : null}
    </div>
  );
}
