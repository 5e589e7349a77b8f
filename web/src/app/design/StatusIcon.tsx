import type { ReactElement } from "react";

/** Shapes differ, so that a status can be told without its colour. */
const SHAPES: Record<string, ReactElement> = {
  pending: <circle cx="8" cy="8" r="5.5" fill="none" strokeDasharray="2.5 2" />,
  running: (
    <>
      <circle cx="8" cy="8" r="5.75" fill="none" />
      <path d="M6.5 5.4v5.2L11 8z" fill="currentColor" stroke="none" />
    </>
  ),
  waiting: (
    <>
      <circle cx="8" cy="8" r="5.75" fill="none" />
      <path d="M8 4.8V8l2.2 1.6" fill="none" />
    </>
  ),
  awaiting_user: (
    <>
      <path d="M2.5 3h11v8h-6l-3 2.7V11h-2z" fill="none" strokeLinejoin="round" />
      <path d="M6.4 5.9c.2-1.6 3.3-1.5 3.2.2 0 1-1.6 1.1-1.6 2.1M8 9.6v.2" fill="none" />
    </>
  ),
  paused: <path d="M5.5 3.5v9M10.5 3.5v9" fill="none" strokeWidth="2.2" />,
  completed: <path d="M3 8.5l3.4 3.4L13 4.8" fill="none" strokeWidth="2" />,
  failed: <path d="M4 4l8 8M12 4l-8 8" fill="none" strokeWidth="2" />,
  cancelled: <rect x="3.5" y="3.5" width="9" height="9" rx="1" fill="currentColor" stroke="none" />,
  interrupted: <path d="M9.2 1.8L4 9h3.4l-.8 5.2L12 7H8.5z" fill="currentColor" strokeLinejoin="round" />,
  moved: <path d="M2.5 8h10M8.8 4l4 4-4 4" fill="none" strokeWidth="2" />,
  unknown: <circle cx="8" cy="8" r="2" fill="currentColor" />,
};

/** The icon of a status; the text beside it says it. */
export function StatusIcon({ status }: { status: string }) {
  return (
    <svg
      width="14"
      height="14"
      viewBox="0 0 16 16"
      stroke="currentColor"
      strokeWidth="1.5"
      aria-hidden="true"
    >
      {SHAPES[status] ?? SHAPES.unknown}
    </svg>
  );
}
