import type { Checkpoint, Schemas, StateDiff } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** A checkpoint with its state; a state with more bytes than were asked for is left out. */
export type CheckpointState = Schemas["CheckpointWithState"];

export const checkpointsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getCheckpoints: build.query<{ items: Checkpoint[] }, string>({
      query: (runId) => `/runs/${segment(runId)}/checkpoints`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    // What was saved does not change: it is asked for once.
    getCheckpointState: build.query<CheckpointState, { runId: string; number: number; maxBytes: number }>({
      query: ({ runId, number, maxBytes }) =>
        `/runs/${segment(runId)}/checkpoints/${number}${queryOf({ max_bytes: maxBytes })}`,
    }),
    getStateDiff: build.query<
      StateDiff,
      { runId: string; number: number; against: number; maxBytes: number }
    >({
      query: ({ runId, number, against, maxBytes }) =>
        `/runs/${segment(runId)}/checkpoints/${number}/diff${queryOf({ against, max_bytes: maxBytes })}`,
    }),
  }),
});

export const { useGetCheckpointsQuery, useGetCheckpointStateQuery, useGetStateDiffQuery } = checkpointsApi;
