import type { Plan, Run } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { segment } from "./queries.ts";

/** A fork that is planned or made; without a checkpoint it knows all that its source knew. */
export interface Fork {
  runId: string;
  checkpoint?: number;
  input?: unknown;
}

function goneOn(runId: string) {
  return [{ type: "Run" as const, id: runId }, { type: "Commands" as const, id: runId }, "Runs" as const];
}

export const plansApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getPlan: build.query<Plan, string>({
      query: (runId) => `/runs/${segment(runId)}/plan`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    resumeRun: build.mutation<Run, { runId: string; key: string }>({
      query: ({ runId, key }) => ({
        url: `/runs/${segment(runId)}/resume`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body: {},
      }),
      invalidatesTags: (_done, _error, { runId }) => goneOn(runId),
    }),
    /** Has a run go on with a message; its open questions are withdrawn. */
    continueRun: build.mutation<Run, { runId: string; message: string; key: string }>({
      query: ({ runId, key, message }) => ({
        url: `/runs/${segment(runId)}/continue`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body: { message },
      }),
      invalidatesTags: (_done, _error, { runId }) => goneOn(runId),
    }),
    /** What a fork would reuse and run again; nothing is made. */
    planFork: build.query<Plan, Fork>({
      query: ({ runId, ...body }) => ({
        url: `/runs/${segment(runId)}/fork`,
        method: "POST",
        body: { ...body, dry_run: true },
      }),
      providesTags: (_found, _error, { runId }) => [{ type: "Run", id: runId }],
    }),
    forkRun: build.mutation<Run, Fork & { key: string }>({
      query: ({ runId, key, ...body }) => ({
        url: `/runs/${segment(runId)}/fork`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body,
      }),
      invalidatesTags: ["Runs"],
    }),
  }),
});

export const {
  useGetPlanQuery,
  useResumeRunMutation,
  useContinueRunMutation,
  usePlanForkQuery,
  useForkRunMutation,
} = plansApi;
