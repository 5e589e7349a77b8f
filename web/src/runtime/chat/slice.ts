import { createSelector, createSlice, isDraft, original, type PayloadAction } from "@reduxjs/toolkit";
import { copyWithStructuralSharing } from "@reduxjs/toolkit/query";
import { isBefore } from "../wire/cursors.ts";
import { canResume, isLive } from "../wire/statuses.ts";
import type { SubagentActivity } from "./activity.ts";
import { rowsOf, type ThreadRecords, type ToolTimelineEntry } from "./rehydration.ts";

/** What a chat shows of one thread. */
export interface ChatThread {
  timeline: ToolTimelineEntry[];
  activities: Record<string, SubagentActivity>;
  order: string[];
  /** Rows that the app itself put in and the ledger has not told of yet: id to the revision in which they came. */
  clientRows: Record<string, number>;
  /** Whether the ledger has told what it has. */
  hydrated: boolean;
  /** The moment of the ledger that is shown, as a cursor; null where none was told. */
  asOf: string | null;
}

export interface ChatRuntimeState {
  /** By thread id. */
  threads: Record<string, ChatThread>;
  /** Grows with each row that the app puts in. A reader of the ledger notes it before it asks. */
  revision: number;
}

/** What the ledger told, and the revision that `selectChatRevision` gave before it was asked. */
export interface Hydration {
  records: ThreadRecords;
  askedAt: number;
}

const initialState: ChatRuntimeState = { threads: {}, revision: 0 };

function threadOf(state: ChatRuntimeState, threadId: string): ChatThread {
  state.threads[threadId] ??= {
    timeline: [],
    activities: {},
    order: [],
    clientRows: {},
    hydrated: false,
    asOf: null,
  };
  return state.threads[threadId];
}

const slice = createSlice({
  name: "chatRuntime",
  initialState,
  reducers: {
    /** The app saw a call or a sub-agent begin or end, before the ledger told of it. A row of the ledger stays. */
    entryReported(state, action: PayloadAction<{ threadId: string; entry: ToolTimelineEntry }>) {
      const { threadId, entry } = action.payload;
      const thread = threadOf(state, threadId);
      state.revision += 1;
      const at = thread.timeline.findIndex((known) => known.id === entry.id);
      if (at >= 0 && thread.clientRows[entry.id] === undefined) return;
      thread.clientRows[entry.id] = state.revision;
      if (at >= 0) thread.timeline[at] = entry;
      else thread.timeline.push(entry);
    },
    /** Rebuilds the thread from the ledger's records.
     *
     * They replace rows with the same ids, whatever those said, and their order is the order. Rows of the app that the
     * ledger does not know stay after them only if they came after it was asked: a run is in the ledger before its
     * work begins, so an older row that the ledger has nothing of is of no work that there is. An answer that was
     * overtaken by a later one changes nothing, and what did not change stays the same object.
     */
    hydrateFromLedger(state, action: PayloadAction<Hydration>) {
      const { records, askedAt } = action.payload;
      const thread = threadOf(state, records.threadId);
      if (records.asOf !== undefined && thread.asOf !== null && isBefore(records.asOf, thread.asOf)) return;
      const rows = rowsOf(records);
      const known = new Set([...rows.timeline.map((entry) => entry.id), ...rows.order]);
      const kept = thread.timeline.filter(
        (entry) => !known.has(entry.id) && (thread.clientRows[entry.id] ?? -1) > askedAt,
      );
      const now: ChatThread = {
        timeline: [...rows.timeline, ...kept],
        activities: rows.activities,
        order: rows.order,
        clientRows: Object.fromEntries(kept.map((entry) => [entry.id, thread.clientRows[entry.id] ?? 0])),
        hydrated: true,
        asOf: records.asOf ?? null,
      };
      state.threads[records.threadId] = copyWithStructuralSharing(
        isDraft(thread) ? original(thread) : thread,
        now,
      );
    },
    /** The app does not show the thread any more. */
    threadForgotten(state, action: PayloadAction<string>) {
      delete state.threads[action.payload];
    },
  },
});

/** The slice, for a store that mounts it as `chatRuntime`. */
export const chatRuntimeSlice = slice;
export const chatRuntimeReducer = slice.reducer;
export const { entryReported, hydrateFromLedger, threadForgotten } = slice.actions;

/** A state with the slice in it. */
export interface WithChatRuntime {
  chatRuntime: ChatRuntimeState;
}

const NO_ENTRIES: ToolTimelineEntry[] = [];
const NO_ACTIVITIES: SubagentActivity[] = [];

export const selectChatRevision = (state: WithChatRuntime): number => state.chatRuntime.revision;

export const selectIsHydrated = (state: WithChatRuntime, threadId: string): boolean =>
  state.chatRuntime.threads[threadId]?.hydrated ?? false;

/** The lines of the thread's timeline, in order. */
export const selectToolTimeline = (state: WithChatRuntime, threadId: string): ToolTimelineEntry[] =>
  state.chatRuntime.threads[threadId]?.timeline ?? NO_ENTRIES;

const selectThread = (state: WithChatRuntime, threadId: string): ChatThread | undefined =>
  state.chatRuntime.threads[threadId];

/** The thread's sub-agents in the ledger's order, at all depths. */
export const selectSubagents = createSelector([selectThread], (thread) =>
  thread === undefined ? NO_ACTIVITIES : thread.order.flatMap((id) => thread.activities[id] ?? []),
);

/** Those that one sub-agent started; without a task those that none of the thread's others did. */
export const selectChildren = createSelector(
  [selectSubagents, (_: WithChatRuntime, __: string, taskId?: string) => taskId],
  (activities, taskId) => activities.filter((activity) => activity.parentTaskId === taskId),
);

export const selectActivity = (
  state: WithChatRuntime,
  threadId: string,
  taskId: string,
): SubagentActivity | undefined => state.chatRuntime.threads[threadId]?.activities[taskId];

/** Sub-agents that work now. */
export const selectLiveSubagents = createSelector([selectSubagents], (activities) =>
  activities.filter((activity) => isLive(activity.status)),
);

/** Sub-agents that stand still and that a person can have go on: each offers to be resumed. */
export const selectResumable = createSelector([selectSubagents], (activities) =>
  activities.filter((activity) => canResume(activity.status)),
);
