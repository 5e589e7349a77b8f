import type { TimelinePage, WorkflowPhase } from "../wire/histories.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** A page has so many runs: enough for a screen at once, and few pages for thousands. */
const PAGE = 500;

export const historiesApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getTimeline: build.infiniteQuery<TimelinePage, string, string | null>({
      infiniteQueryOptions: {
        initialPageParam: null,
        getNextPageParam: (page) => page.next_cursor ?? undefined,
      },
      query: ({ queryArg, pageParam }) =>
        `/runs/${segment(queryArg)}/timeline${queryOf({ limit: PAGE, cursor: pageParam })}`,
      providesTags: (found, _error, id) => [
        { type: "Run", id },
        ...(found?.pages[0]?.items ?? []).map((row) => ({ type: "Run" as const, id: row.run_id })),
      ],
    }),
    getPhases: build.query<WorkflowPhase[], string>({
      query: (id) => `/runs/${segment(id)}/phases`,
      transformResponse: ({ items }: { items: WorkflowPhase[] }) => items,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
  }),
});

export const { useGetTimelineInfiniteQuery, useGetPhasesQuery } = historiesApi;
