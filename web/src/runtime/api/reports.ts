import type { Comparison, UsageLine } from "../wire/reports.ts";
import { runstoneApi } from "./api.ts";
import { type Parameter, queryOf } from "./queries.ts";

/** What is summed by what, and of which runs. */
export interface UsageQuery {
  by: readonly string[];
  since?: string;
  until?: string;
  run_id?: string;
  provider?: readonly string[];
  model?: readonly string[];
  agent?: readonly string[];
  workflow?: readonly string[];
}

export const reportsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getUsage: build.query<UsageLine[], UsageQuery>({
      query: (query) => `/usage${queryOf(query as unknown as Record<string, Parameter>)}`,
      transformResponse: ({ items }: { items: UsageLine[] }) => items,
    }),
    /** Without `b` a fork is compared with its source, or a source with its newest fork. */
    getComparison: build.query<Comparison, { a: string; b?: string }>({
      query: (pair) => `/compare${queryOf(pair)}`,
      providesTags: (found) =>
        found === undefined
          ? []
          : [found.a, found.b].map((side) => ({ type: "Run" as const, id: side.run_id })),
    }),
  }),
});

export const { useGetUsageQuery, useGetComparisonQuery } = reportsApi;
