import type { Schemas, With } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** A saved view of a list, kept in the ledger. `filters` are as the API's lists take them. */
export type SavedView = With<
  Omit<Schemas["View"], "created_at" | "updated_at">,
  { filters: Record<string, unknown> }
>;

/** A view to be saved: a new one without an id, else the one that was read at that revision. */
export type ViewToSave = Omit<SavedView, "id" | "revision"> & { id?: string; revision?: number };

export const viewsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getViews: build.query<SavedView[], void>({
      query: () => "/views",
      transformResponse: ({ items }: { items: SavedView[] }) => items,
      providesTags: [{ type: "Views" }],
    }),
    saveView: build.mutation<SavedView, ViewToSave>({
      query: ({ id, ...body }) => ({
        url: id === undefined ? "/views" : `/views/${segment(id)}`,
        method: id === undefined ? "POST" : "PUT",
        body,
      }),
      invalidatesTags: [{ type: "Views" }],
    }),
    deleteView: build.mutation<null, { id: string; revision: number }>({
      query: ({ id, revision }) => ({
        url: `/views/${segment(id)}${queryOf({ revision })}`,
        method: "DELETE",
      }),
      invalidatesTags: [{ type: "Views" }],
    }),
  }),
});

export const { useGetViewsQuery, useSaveViewMutation, useDeleteViewMutation } = viewsApi;
