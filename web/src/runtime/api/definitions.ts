import type { Definition, Run, Schemas, With } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";

/** What can be started here; where the workspace's own code is not trusted there is nothing. */
export type Definitions = With<Schemas["Definitions"], { items: Definition[] }>;

export interface Start {
  name: string;
  input?: unknown;
  title?: string;
  labels?: Record<string, string>;
  budget?: { max_cost_usd?: number; max_tokens?: number; max_children?: number };
  key: string;
}

export const definitionsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getAgents: build.query<Definitions, void>({ query: () => "/agents", providesTags: ["Definitions"] }),
    getWorkflows: build.query<Definitions, void>({
      query: () => "/workflows",
      providesTags: ["Definitions"],
    }),
    startRun: build.mutation<Run, Start>({
      query: ({ key, ...body }) => ({
        url: "/runs",
        method: "POST",
        headers: { "Idempotency-Key": key },
        body,
      }),
      invalidatesTags: (run) => (run === undefined ? [] : ["Runs"]),
    }),
  }),
});

export const { useGetAgentsQuery, useGetWorkflowsQuery, useStartRunMutation } = definitionsApi;
