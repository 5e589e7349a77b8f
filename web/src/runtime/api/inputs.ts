import type { InputRequest, Page } from "../wire/records.ts";
import { runstoneApi } from "./api.ts";
import { queryOf, segment } from "./queries.ts";

/** An answer to a question, and the key under which it is given once. */
export interface Answer {
  id: string;
  response: unknown;
  key: string;
}

export const inputsApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    getInputs: build.query<Page<InputRequest>, { status?: InputRequest["status"]; limit?: number }>({
      query: (filters) => `/inputs${queryOf(filters)}`,
      providesTags: [{ type: "Inputs" }],
    }),
    getRunInputs: build.query<{ items: InputRequest[] }, string>({
      query: (runId) => `/runs/${segment(runId)}/inputs`,
      providesTags: (_found, _error, runId) => [{ type: "Inputs" }, { type: "Run", id: runId }],
    }),
    answerInput: build.mutation<InputRequest, Answer>({
      query: ({ id, response, key }) => ({
        url: `/inputs/${segment(id)}/answer`,
        method: "POST",
        headers: { "Idempotency-Key": key },
        body: { response },
      }),
      // A refusal tells that somebody else was first: that answer is to be shown, too.
      invalidatesTags: [{ type: "Inputs" }],
    }),
  }),
});

export const { useGetInputsQuery, useGetRunInputsQuery, useAnswerInputMutation } = inputsApi;
