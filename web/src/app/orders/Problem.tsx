import type { ApiError } from "@runstone/react";
import { visible } from "../format/visible.ts";
import styles from "./Controls.module.css";

/** Why the server said no, and what to do instead. */
export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null;
  const { detail, hint } = error as Partial<ApiError>;
  return (
    <p role="alert" className={styles.error}>
      {visible(`${detail ?? "The server's answer could not be read."} ${hint ?? ""}`)}
    </p>
  );
}
