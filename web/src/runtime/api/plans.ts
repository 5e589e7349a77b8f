import type { Plan, Run } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { segment } from "./queries.ts";

/** What a resume does with what it finds; what is left out is as the server does it by default. */
export interface Policy {
  failed?: "retry" | "keep" | "fail";
  interrupted?: "retry" | "fail";
  cancelled?: "by_cause" | "retry" | "raise";
  failures?: "unhandled" | "all";
  from_phase?: string;
  rerun?: readonly string[];
  definition?: "accept" | "refuse";
}

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
    /** What a resume by that policy would do; `simulate` runs the code of a workflow against what is recorded. */
    getPlan: build.query<Plan, { runId: string; policy: Policy; simulate: boolean }>({
      query: ({ runId, ...body }) => ({ url: `/runs/${segment(runId)}/plan`, method: "POST", body }),
      providesTags: (_found, _error, { runId }) => [{ type: "Run", id: runId }],
    }),
    resumeRun: build.mutation<Run, { runId: string; policy: Policy; key: string }>({
      query: ({ runId, key, policy }) => ({
        url: `/runs/${segment(runId)}/resume`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body: Object.keys(policy).length === 0 ? {} : { policy },
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
