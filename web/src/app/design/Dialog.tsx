import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import styles from "./Dialog.module.css";

interface Props {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  /** At the top, for what is typed into; else in the middle. */
  top?: boolean;
}

/** A dialog. Its backdrop is ours: Radix' own overlay locks scrolling by a style element, which the server's
 * content security policy refuses. */
export function Dialog({ title, open, onClose, children, top = false }: Props) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Radix.Portal>
        <div className={styles.shade} />
        <Radix.Content className={`${styles.dialog} ${top ? styles.top : ""}`} aria-describedby={undefined}>
          <Radix.Title className={styles.title}>{title}</Radix.Title>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
