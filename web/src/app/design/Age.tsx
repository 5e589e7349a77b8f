import { formatAge } from "../format/durations.ts";
import { formatTime } from "../format/times.ts";
import { useNow } from "./Clock.tsx";

/** How long ago something was; the whole time is in its title. */
export function Age({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return null;
  return (
    <time dateTime={at} title={formatTime(at)}>
      {formatAge(Math.max(0, now - Date.parse(at)))}
    </time>
  );
}
