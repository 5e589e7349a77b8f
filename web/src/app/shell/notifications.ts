import { type InputRequest, useGetInputsQuery } from "@runstone/react";
import { useEffect, useRef } from "react";
import { visible } from "../format/visible.ts";
import { useSettings } from "./settings.ts";

const SHOWN_CHARS = 200;

/** Whether this browser can tell of anything, and whether it may. */
export function notificationState(): "off" | "asks" | "allowed" | "refused" {
  if (typeof Notification === "undefined") return "off";
  return { default: "asks", granted: "allowed", denied: "refused" }[Notification.permission] as
    | "asks"
    | "allowed"
    | "refused";
}

/** Tells of each new question once while nobody looks at the page; of nothing else. Tabs share the tag, so that several
 * of them tell once. */
export function useNotifications(onOpen: (runId: string) => void): void {
  const { notifications } = useSettings();
  const { data } = useGetInputsQuery({ status: "open", limit: 100 }, { skip: !notifications });
  const known = useRef<ReadonlySet<string> | null>(null);
  const open = useRef(onOpen);
  open.current = onOpen;
  useEffect(() => {
    if (data === undefined) return;
    const before = known.current;
    known.current = new Set([...(before ?? []), ...data.items.map((input) => input.id)]);
    // What was open when the page was opened is on the page: only what comes later is news.
    if (before === null || !document.hidden || notificationState() !== "allowed") return;
    for (const input of data.items) if (!before.has(input.id)) tell(input, (runId) => open.current(runId));
  }, [data]);
}

function tell(input: InputRequest, onOpen: (runId: string) => void): void {
  const notice = new Notification("A run needs you", {
    body: visible(input.message.slice(0, SHOWN_CHARS)),
    tag: input.id,
  });
  notice.onclick = () => {
    window.focus();
    onOpen(input.run_id);
    notice.close();
  };
}
