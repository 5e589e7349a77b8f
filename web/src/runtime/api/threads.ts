import type { Message, Page } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

export const threadsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getMessages: build.query<Page<Message>, { threadId: string; after?: number; limit?: number }>({
      query: ({ threadId, ...page }) => `/threads/${segment(threadId)}/messages${queryOf(page)}`,
      providesTags: (_found, _error, { threadId }) => [{ type: "Messages", id: threadId }],
    }),
  }),
});

export const { useGetMessagesQuery } = threadsApi;
