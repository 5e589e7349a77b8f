import type { Surroundings } from "./source.ts";

/** The browser's own parts; `probeUrl` is a light route that needs the same rights as the stream. */
export function browserSurroundings(probeUrl: string): Surroundings {
  return {
    open: (url) => new EventSource(url, { withCredentials: true }),
    probe: async () => (await fetch(probeUrl, { credentials: "same-origin", cache: "no-store" })).status,
    now: () => Date.now(),
    delay: (task, ms) => {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  };
}
