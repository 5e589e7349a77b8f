import type { Page, Schemas, Thread } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** A part of a thread; `next_after` is where the next one begins. */
export type Messages = Schemas["Messages"];

export const threadsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getThreads: build.infiniteQuery<Page<Thread>, void, string | null>({
      infiniteQueryOptions: {
        initialPageParam: null,
        getNextPageParam: (page) => page.next_cursor ?? undefined,
      },
      query: ({ pageParam }) => `/threads${queryOf({ limit: 100, cursor: pageParam })}`,
      providesTags: ["Runs"],
    }),
    getThread: build.query<Thread, string>({
      query: (id) => `/threads/${segment(id)}`,
      providesTags: (_found, _error, id) => [{ type: "Messages", id }],
    }),
    /** Messages in pages from the first; those that came later are in the last page when it is asked for again. */
    getThreadMessages: build.infiniteQuery<Messages, string, number>({
      infiniteQueryOptions: {
        initialPageParam: 0,
        getNextPageParam: (page) => page.next_after ?? undefined,
      },
      query: ({ queryArg, pageParam }) =>
        `/threads/${segment(queryArg)}/messages${queryOf({ after: pageParam, limit: 200 })}`,
      providesTags: (_found, _error, id) => [{ type: "Messages", id }],
    }),
    getMessages: build.query<Messages, { threadId: string; after?: number; limit?: number }>({
      query: ({ threadId, ...page }) => `/threads/${segment(threadId)}/messages${queryOf(page)}`,
      providesTags: (_found, _error, { threadId }) => [{ type: "Messages", id: threadId }],
    }),
  }),
});

export const {
  useGetMessagesQuery,
  useGetThreadsInfiniteQuery,
  useGetThreadQuery,
  useGetThreadMessagesInfiniteQuery,
} = threadsApi;
