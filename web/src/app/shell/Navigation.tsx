import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { Button } from "../design/Button.tsx";
import { useNarrow } from "../design/useNarrow.ts";
import { SCREENS } from "../screens/table.ts";
import styles from "./Shell.module.css";
import { useSigningOut } from "./signingOut.ts";

interface Props {
  path: string;
  onKeys: () => void;
}

/** The screens: beside each other where there is room, in a menu where there is not. */
export function Navigation({ path, onKeys }: Props) {
  return useNarrow() ? <Menu path={path} onKeys={onKeys} /> : <Screens path={path} className={styles.nav} />;
}

function Screens({ path, className }: { path: string; className: string | undefined }) {
  return (
    <nav aria-label="Screens" className={className}>
      {SCREENS.filter((screen) => !screen.inner).map((screen) => (
        <Link
          key={screen.path}
          href={screen.path}
          aria-current={isAt(screen.path, path) ? "page" : undefined}
        >
          {screen.name}
        </Link>
      ))}
    </nav>
  );
}

function Menu({ path, onKeys }: Props) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const signOut = useSigningOut();
  const here = SCREENS.find((screen) => !screen.inner && isAt(screen.path, path));
  // biome-ignore lint/correctness/useExhaustiveDependencies: it closes when another screen is gone to
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
    };
  }, [open]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes it from any of its links
    <div
      ref={box}
      className={styles.menu}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        setOpen(false);
        button.current?.focus();
      }}
    >
      <Button
        ref={button}
        look="bare"
        aria-expanded={open}
        aria-controls="menu"
        onClick={() => setOpen(!open)}
      >
        <svg
          width="16"
          height="16"
          viewBox="0 0 16 16"
          stroke="currentColor"
          strokeWidth="1.5"
          aria-hidden="true"
        >
          <path d="M2 4.5h12M2 8h12M2 11.5h12" />
        </svg>
        <span className="visually-hidden">Menu: </span>
        {here?.name ?? "Menu"}
      </Button>
      {open ? (
        <div id="menu" className={styles.menuList}>
          <Screens path={path} className={styles.menuNav} />
          <Button
            look="bare"
            onClick={() => {
              setOpen(false);
              onKeys();
            }}
          >
            Keys and settings
          </Button>
          <Button look="bare" onClick={signOut}>
            Sign out
          </Button>
        </div>
      ) : null}
    </div>
  );
}

function isAt(screen: string, path: string): boolean {
  return screen === "/" ? path === "/" : path === screen || path.startsWith(`${screen}/`);
}
