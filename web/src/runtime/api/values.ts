import type { Schemas, StoredValue, With } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

export interface ValueQuery {
  runId: string;
  part: "input" | "prompt" | "result";
  /** A value with more bytes is left out of the answer. */
  maxBytes: number;
}

/** The content of a declarative definition; null for code, which runs as it is registered. */
export type RunDefinition = With<Schemas["PinnedDefinition"], { definition: Record<string, unknown> | null }>;

export const valuesApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getValue: build.query<StoredValue, ValueQuery>({
      query: ({ runId, part, maxBytes }) =>
        `/runs/${segment(runId)}/${part}${queryOf({ max_bytes: maxBytes })}`,
      providesTags: (_found, _error, { runId }) => [{ type: "Run", id: runId }],
    }),
    getDefinition: build.query<RunDefinition, string>({
      query: (runId) => `/runs/${segment(runId)}/definition`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    getLogs: build.infiniteQuery<Schemas["Log"], string, number>({
      infiniteQueryOptions: {
        initialPageParam: 0,
        getNextPageParam: (page) => page.next_after ?? undefined,
      },
      query: ({ queryArg, pageParam }) =>
        `/runs/${segment(queryArg)}/logs${queryOf({ after: pageParam, limit: 500 })}`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
  }),
});

export const { useGetValueQuery, useGetDefinitionQuery, useGetLogsInfiniteQuery } = valuesApi;
