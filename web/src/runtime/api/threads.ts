import type { Message } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** A part of a thread; `next_after` is where the next one begins. */
export interface Messages {
  items: Message[];
  next_after: number | null;
}

export const threadsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getMessages: build.query<Messages, { threadId: string; after?: number; limit?: number }>({
      query: ({ threadId, ...page }) => `/threads/${segment(threadId)}/messages${queryOf(page)}`,
      providesTags: (_found, _error, { threadId }) => [{ type: "Messages", id: threadId }],
    }),
  }),
});

export const { useGetMessagesQuery } = threadsApi;
