import type {
  Attempt,
  Bucket,
  Meta,
  Page,
  Run,
  RunGroups,
  RunStatus,
  Schemas,
  Sections,
  Telemetry,
  With,
} from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { type Parameter, queryOf, segment } from "./queries.ts";

/** Filters and order of a list of runs; the same filters count it. Lists are alternatives. */
export interface RunsQuery {
  status?: readonly RunStatus[];
  bucket?: readonly Bucket[];
  kind?: readonly string[];
  agent_id?: readonly string[];
  definition_id?: readonly string[];
  parent_id?: string;
  root_id?: string;
  thread_id?: string | readonly string[];
  depth?: number;
  updated_from?: string;
  updated_to?: string;
  worker_thread_id?: string;
  forked_from?: string;
  phase?: string;
  /** Several values of a label are alternatives. */
  labels?: Readonly<Record<string, string | readonly string[]>>;
  created_from?: string;
  created_to?: string;
  ended_from?: string;
  ended_to?: string;
  q?: string;
  archived?: boolean;
  pinned?: boolean;
  sort?: "updated" | "created" | "ended" | "duration" | "cost";
  order?: "asc" | "desc";
  limit?: number;
}

/** What people give a run; labels are all of them. */
export interface RunChange {
  id: string;
  title?: string;
  labels?: Record<string, string>;
  pinned?: boolean;
  archived?: boolean;
}

/** A tree of so many is shown at once, with all that is in it. */
const FEW = 200;
/** A page of children. */
const MANY = 1_000;

export type RunCounts = Partial<Record<Bucket, number>> & { total?: number };

function parameters(query: RunsQuery): Record<string, Parameter> {
  const { labels, ...rest } = query;
  const named = Object.entries(labels ?? {}).map(([name, value]) => [`label.${name}`, value] as const);
  return { ...rest, ...Object.fromEntries(named) } as Record<string, Parameter>;
}

/** The tags of a page: the list, and each run in it. */
function tagsOf(runs: readonly Run[] | undefined) {
  return [{ type: "Runs" as const }, ...(runs ?? []).map((run) => ({ type: "Run" as const, id: run.id }))];
}

export const runsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getRuns: build.infiniteQuery<Page<Run>, RunsQuery, string | null>({
      infiniteQueryOptions: {
        initialPageParam: null,
        getNextPageParam: (page) => page.next_cursor ?? undefined,
      },
      query: ({ queryArg, pageParam }) => `/runs${queryOf({ ...parameters(queryArg), cursor: pageParam })}`,
      providesTags: (found) => tagsOf(found?.pages.flatMap((page) => page.items)),
    }),
    /** One page by its cursor, for who needs all of a list. */
    getRunsPage: build.query<Page<Run>, { query: RunsQuery; cursor: string | null }>({
      query: ({ query, cursor }) => `/runs${queryOf({ ...parameters(query), cursor })}`,
    }),
    getRunCounts: build.query<RunCounts, RunsQuery>({
      query: ({ sort: _sort, order: _order, limit: _limit, ...filters }) =>
        `/runs/counts${queryOf(parameters(filters))}`,
      transformResponse: countsOf,
      providesTags: [{ type: "Runs" }],
    }),
    /** What people look at first, in one answer. */
    getSections: build.query<Sections, void>({
      query: () => "/home",
      providesTags: (found) => [
        { type: "Inputs" as const },
        ...tagsOf(found?.sections.flatMap((section) => section.items)),
      ],
    }),
    /** The groups of a list: by the filters of the list, and each with how many runs it has. */
    getRunGroups: build.query<RunGroups, { query: RunsQuery; by: string }>({
      query: ({ query: { sort: _sort, order: _order, limit: _limit, ...filters }, by }) =>
        `/runs/groups${queryOf({ ...parameters(filters), by, ...(by === "day" && { offset_minutes: ahead() }) })}`,
      providesTags: [{ type: "Runs" }],
    }),
    getRun: build.query<Run, string>({
      query: (id) => `/runs/${segment(id)}`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    changeRun: build.mutation<Run, RunChange>({
      query: ({ id, ...change }) => ({ url: `/runs/${segment(id)}`, method: "PATCH", body: change }),
      invalidatesTags: (_done, _error, { id }) => [{ type: "Run", id }, "Runs"],
    }),
    getTree: build.query<Run[], string>({
      query: (id) => `/runs/${segment(id)}/tree`,
      transformResponse: runsOf,
      providesTags: (runs, _error, id) => [{ type: "Run", id }, ...tagsOf(runs).slice(1)],
    }),
    /** The run and all below it, if they are few; else the first of them, and a cursor. */
    getFewBranches: build.query<Page<Run>, string>({
      query: (id) => `/runs/${segment(id)}/branches${queryOf({ limit: FEW })}`,
      transformResponse: branchesOf,
      providesTags: (page, _error, id) => [{ type: "Run", id }, ...tagsOf(page?.items).slice(1)],
    }),
    /** The run and its children, without what is below these. */
    getBranch: build.infiniteQuery<Page<Run>, string, string | null>({
      infiniteQueryOptions: {
        initialPageParam: null,
        getNextPageParam: (page) => page.next_cursor ?? undefined,
      },
      query: ({ queryArg, pageParam }) =>
        `/runs/${segment(queryArg)}/branches${queryOf({ depth: 1, limit: MANY, cursor: pageParam })}`,
      transformResponse: branchesOf,
      providesTags: (found, _error, id) => [
        { type: "Run", id },
        ...tagsOf(found?.pages.flatMap((page) => page.items)).slice(1),
      ],
    }),
    getAttempts: build.query<Attempt[], string>({
      query: (id) => `/runs/${segment(id)}/attempts`,
      transformResponse: ({ items }: { items: Attempt[] }) => items,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    getTelemetry: build.query<Telemetry, string>({
      query: (id) => `/runs/${segment(id)}/telemetry`,
      providesTags: (_found, _error, id) => [{ type: "Run", id }],
    }),
    getMeta: build.query<Meta, void>({ query: () => "/meta", providesTags: [{ type: "Meta" }] }),
  }),
});

/** How many minutes the reader's clock is ahead of UTC. */
function ahead(): number {
  return -new Date().getTimezoneOffset();
}

function countsOf({ counts }: { counts: RunCounts }): RunCounts {
  return counts;
}

/** A run of a tree, with its sums beside it. */
type TreeNode = With<Schemas["Node"], { run: Run }>;

function branchesOf({ items, ...page }: Schemas["PageOf_Branch_"]): Page<Run> {
  return {
    ...page,
    items: items.map(({ run, own, subtree, reused, children }) => ({
      ...(run as Run),
      totals: { own, subtree },
      reused,
      children,
    })),
  };
}

function runsOf({ items }: { items: TreeNode[] }): Run[] {
  return items.map(({ run, own, subtree, reused }) => ({
    ...run,
    totals: run.totals ?? { own, subtree },
    reused,
  }));
}

export const {
  useGetRunsInfiniteQuery,
  useLazyGetRunsPageQuery,
  useGetRunCountsQuery,
  useGetSectionsQuery,
  useGetRunGroupsQuery,
  useGetRunQuery,
  useChangeRunMutation,
  useGetTreeQuery,
  useGetFewBranchesQuery,
  useGetMetaQuery,
  useGetTelemetryQuery,
  useGetAttemptsQuery,
} = runsApi;
