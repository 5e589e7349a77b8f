import type { Schemas } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";

/** How far a viewer has seen, and when the visit before this one ended. */
export type Seen = Schemas["Seen"];

/** What the ledger knows of who looks: the same in each of their browsers. */
export const visitsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    /** Says that all up to a cursor was seen; after a pause that begins another visit. */
    markSeen: build.mutation<Seen | null, string>({
      query: (cursor) => ({ url: "/viewers/me/seen", method: "PUT", body: { cursor } }),
      transformResponse: ({ seen }: { seen: Seen | null }) => seen,
    }),
    /** Ends this browser's session. */
    signOut: build.mutation<null, void>({ query: () => ({ url: "/auth/logout", method: "POST" }) }),
  }),
});

export const { useMarkSeenMutation, useSignOutMutation } = visitsApi;
