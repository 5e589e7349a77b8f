import type { Bulk } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { segment } from "./queries.ts";

/** An order for many runs, and the key under which it is given once. */
export interface BulkToGive {
  verb: string;
  run_ids: readonly string[];
  key: string;
}

/** Orders for many runs. The server gives them, whoever leaves; here is how far each came. */
export const bulksApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getBulks: build.query<Bulk[], void>({
      query: () => "/bulks",
      transformResponse: ({ items }: { items: Bulk[] }) => items,
      providesTags: ["Bulks"],
    }),
    giveBulk: build.mutation<Bulk, BulkToGive>({
      query: ({ key, ...body }) => ({
        url: "/bulks",
        method: "POST",
        headers: { "Idempotency-Key": key },
        body,
      }),
      invalidatesTags: ["Bulks"],
    }),
    cancelBulk: build.mutation<Bulk, string>({
      query: (id) => ({ url: `/bulks/${segment(id)}/cancel`, method: "POST" }),
      invalidatesTags: ["Bulks"],
    }),
  }),
});

export const { useGetBulksQuery, useGiveBulkMutation, useCancelBulkMutation } = bulksApi;
