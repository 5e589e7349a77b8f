import { type ComponentType, lazy } from "react";

/** A screen: where it is, what it is called, and the keys that lead to it. */
export interface Screen {
  path: string;
  name: string;
  keys?: string;
  part: ComponentType;
  /** Not in the navigation: it is reached from others. */
  inner?: true;
}

/** The screens, in the order of the navigation. Each is a part of its own, which is fetched when it is first opened. */
export const SCREENS: readonly Screen[] = [
  { path: "/", name: "Home", keys: "g h", part: lazy(() => import("./home/Home.tsx")) },
  { path: "/runs", name: "Runs", keys: "g r", part: lazy(() => import("./runs/Runs.tsx")) },
  { path: "/runs/:id", name: "Run", inner: true, part: lazy(() => import("./run/RunScreen.tsx")) },
  {
    path: "/workflows",
    name: "Workflows",
    keys: "g w",
    part: lazy(() => import("./workflows/Workflows.tsx")),
  },
  { path: "/threads", name: "Threads", keys: "g t", part: lazy(() => import("./threads/Threads.tsx")) },
  {
    path: "/threads/:id",
    name: "Thread",
    inner: true,
    part: lazy(() => import("./threads/ThreadScreen.tsx")),
  },
  { path: "/usage", name: "Usage", keys: "g u", part: lazy(() => import("./usage/Usage.tsx")) },
  { path: "/settings", name: "Settings", keys: "g s", part: lazy(() => import("./settings/Settings.tsx")) },
  {
    path: "/compare",
    name: "Compare",
    keys: "g c",
    inner: true,
    part: lazy(() => import("./compare/Compare.tsx")),
  },
];
