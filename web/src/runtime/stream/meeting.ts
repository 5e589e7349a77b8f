import type { Meeting, Note } from "./shared.ts";

/** Pages of this browser meet by Web Locks and a BroadcastChannel. Where there are none (an old browser, or a page that
 * was loaded without TLS from another machine), each page leads itself. */
export function browserMeeting(name: string): Meeting {
  const delay = (task: () => void, ms: number) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  };
  if (typeof BroadcastChannel === "undefined" || typeof navigator === "undefined" || !navigator.locks)
    return { post: () => {}, listen: () => () => {}, lead: alone, delay };
  const channel = new BroadcastChannel(name);
  return {
    post: (note) => channel.postMessage(note),
    listen: (listener) => {
      const hear = (event: MessageEvent<Note>) => listener(event.data);
      channel.addEventListener("message", hear);
      return () => channel.removeEventListener("message", hear);
    },
    lead: (done, lead, steal) =>
      navigator.locks.request(name, { steal }, async () => {
        lead();
        await done;
      }),
    delay,
  };
}

async function alone(done: Promise<void>, lead: () => void): Promise<void> {
  lead();
  await done;
}
