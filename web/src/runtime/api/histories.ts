import type { TimelinePage, TimelineRow, WorkflowPhase } from "../wire/histories.ts";
import type { EventsPage, RunEvent } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** What a later look at a timeline is told. */
export interface TimelineChanges {
  rows: TimelineRow[];
  asOf: string;
  critical: string[];
}

/** The largest page there is. */
const MOST = 1_000;
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
      // What changes is asked for by `getTimelineChanges`: only what may have been missed has all of it read again.
      providesTags: ["Timelines"],
    }),
    /** What changed of a timeline since its `as_of`; all pages of it. */
    getTimelineChanges: build.query<TimelineChanges, { id: string; since: string }>({
      queryFn: async ({ id, since }, _api, _extra, ask) => {
        const rows: TimelineRow[] = [];
        let cursor: string | null = null;
        let first: TimelinePage | null = null;
        do {
          const path = `/runs/${segment(id)}/timeline${queryOf({ limit: MOST, since, cursor })}`;
          const { data, error } = await ask(path);
          if (error !== undefined) return { error };
          const page = data as TimelinePage;
          first ??= page;
          rows.push(...page.items);
          cursor = page.next_cursor;
        } while (cursor !== null);
        // As of the first page: what happens while the others are read is told the next time.
        return { data: { rows, asOf: first.as_of, critical: first.critical } };
      },
      keepUnusedDataFor: 0,
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

export const {
  useGetTimelineInfiniteQuery,
  useLazyGetTimelineChangesQuery,
  useGetPhasesQuery,
  useGetEventQuery,
} = historiesApi;
