import type { Run } from "@runstone/react";
import { type ComponentType, lazy } from "react";

/** A tab of a run. Its part is fetched when it is first opened. */
export interface RunTab {
  id: string;
  name: string;
  part: ComponentType<{ run: Run }>;
  /** For whom there is something in it; for all without it. */
  fits?: (run: Run) => boolean;
}

/** The tabs, in their order; the first is the default. */
export const RUN_TABS: readonly [RunTab, ...RunTab[]] = [
  { id: "overview", name: "Overview", part: lazy(() => import("./Overview.tsx")) },
  { id: "timeline", name: "Timeline", part: lazy(() => import("./timeline/Timeline.tsx")) },
  { id: "events", name: "Events", part: lazy(() => import("./Events.tsx")) },
  { id: "tree", name: "Tree", part: lazy(() => import("./Tree.tsx")) },
  { id: "checkpoints", name: "Checkpoints", part: lazy(() => import("./checkpoints/Checkpoints.tsx")) },
  { id: "values", name: "Input & result", part: lazy(() => import("./values/Values.tsx")) },
  {
    id: "logs",
    name: "Logs",
    part: lazy(() => import("./values/Logs.tsx")),
    fits: (run) => run.worker_thread_id !== null,
  },
];
