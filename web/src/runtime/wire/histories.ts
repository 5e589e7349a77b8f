import type { Schemas } from "./records.ts";

/** A part of a run's life: `pending`, `attempt`, or what lay between attempts. Without an end it lasts. */
export type RunSpan = Schemas["Span"];

/** What a run did in a part of its time. */
export type Activity = Schemas["Activity"];

/** What a timeline draws of a run. */
export type TimelineRow = Schemas["TimelineRow"];

/** A page of a timeline, level by level. */
export type TimelinePage = Schemas["Timeline"];

/** A phase of a workflow run; planned ones are `pending`. */
export type WorkflowPhase = Schemas["Phase"];
