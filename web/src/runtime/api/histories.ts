import type { TimelinePage, WorkflowPhase } from "../wire/histories.ts";
import type { EventsPage, RunEvent } from "../wire/records.ts";
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
    /** One event; null where there is none. It never changes: it is asked for once. */
    getEvent: build.query<RunEvent | null, { runId: string; seq: number; maxBytes: number }>({
      query: ({ runId, seq, maxBytes }) =>
        `/runs/${segment(runId)}/events${queryOf({ after: seq - 1, limit: 1, max_bytes: maxBytes })}`,
      transformResponse: ({ items }: EventsPage, _meta, { seq }) => (items[0]?.seq === seq ? items[0] : null),
    }),
    getPhases: build.query<WorkflowPhase[], string>({
      query: (id) => `/runs/${segment(id)}/phases`,
      transformResponse: ({ items }: { items: WorkflowPhase[] }) => items,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
  }),
});

export const { useGetTimelineInfiniteQuery, useGetPhasesQuery, useGetEventQuery } = historiesApi;
