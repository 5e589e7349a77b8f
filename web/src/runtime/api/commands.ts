import type { Command } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { segment } from "./queries.ts";

/** An order to a run, and the key under which it is given once. */
export interface Order {
  runId: string;
  verb: "stop" | "pause" | "resume" | "retry" | "steer";
  scope?: "run" | "subtree";
  /** What a run that is steered is told. */
  message?: string;
  reason?: string;
  key: string;
}

export const commandsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getCommands: build.query<{ items: Command[] }, string>({
      query: (runId) => `/runs/${segment(runId)}/commands`,
      providesTags: (_found, _error, runId) => [{ type: "Commands", id: runId }],
    }),
    giveCommand: build.mutation<Command, Order>({
      query: ({ runId, key, ...order }) => ({
        url: `/runs/${segment(runId)}/commands`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body: order,
      }),
      invalidatesTags: (_done, _error, { runId }) => [
        { type: "Commands", id: runId },
        { type: "Run", id: runId },
      ],
    }),
  }),
});

export const { useGetCommandsQuery, useGiveCommandMutation } = commandsApi;
