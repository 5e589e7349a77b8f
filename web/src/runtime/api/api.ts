import { type BaseQueryFn, createApi, type FetchArgs, fetchBaseQuery } from "@reduxjs/toolkit/query/react";
import type { Problem } from "../wire/records.ts";
import { asOfNoted, selectConnection, serverTimeTold, type WithConnection } from "./connection.ts";

/** Why a request came to nothing: the API's own problem, or `unreachable`. */
export type ApiError = Problem;

const fetchJson = fetchBaseQuery({ baseUrl: "", credentials: "same-origin", timeout: 30_000 });

/** Asks the server whose address is in the store, and gives refusals as problems. */
const baseQuery: BaseQueryFn<string | FetchArgs, unknown, ApiError> = async (args, api, extra) => {
  const { baseUrl, asOf } = selectConnection(api.getState() as WithConnection);
  const request = typeof args === "string" ? { url: args } : args;
  const askedAt = Date.now();
  const answer = await fetchJson({ ...request, url: `${baseUrl}${request.url}` }, api, extra);
  const told = answer.meta?.response?.headers.get("date");
  if (told != null) api.dispatch(serverTimeTold({ told, askedAt, answeredAt: Date.now() }));
  if (asOf === null && hasAsOf(answer.data)) api.dispatch(asOfNoted(answer.data.as_of));
  if (answer.error === undefined) return { data: answer.data, ...(answer.meta && { meta: answer.meta }) };
  return { error: problemOf(answer.error.status, answer.error.data) };
};

function hasAsOf(data: unknown): data is { as_of: string } {
  return typeof (data as { as_of?: unknown } | null)?.as_of === "string";
}

/** The problem in an answer, or what comes closest. */
export function problemOf(status: number | string, data: unknown): Problem {
  if (typeof data === "object" && data !== null && "code" in data) return data as Problem;
  const unreachable = typeof status !== "number";
  return {
    type: "about:blank",
    title: unreachable ? "The server does not answer." : "The server refused.",
    status: unreachable ? 0 : status,
    detail: unreachable
      ? "The server does not answer; it is tried again."
      : `The answer has the status ${status}.`,
    code: unreachable ? "unreachable" : "refused",
  };
}

/** The API. Modules beside this one put their routes in, one module per noun: reading changes nothing on the server. */
export const runstoneApi = createApi({
  reducerPath: "runstoneApi",
  baseQuery,
  tagTypes: [
    "Run",
    "Runs",
    "Inputs",
    "Definitions",
    "Messages",
    "Commands",
    "Views",
    "Meta",
    "Timelines",
    "Bulks",
  ],
  keepUnusedDataFor: 120,
  refetchOnReconnect: true,
  endpoints: () => ({}),
});
