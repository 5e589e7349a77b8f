import { type ApiError, runstoneApi } from "../api/api.ts";
import { queryOf, segment } from "../api/queries.ts";
import type { Message, Run, RunEvent } from "../wire/records.ts";
import type { ThreadRecords } from "./rehydration.ts";
import { hydrateFromLedger, selectChatRevision, type WithChatRuntime } from "./slice.ts";

/** Reads one answer of the API. */
export type ReadJson = (path: string) => Promise<unknown>;

const PAGE = 1_000;

/** All that the ledger has of a thread: the runs that were started from it, those below them, and what each did. */
export async function readThread(threadId: string, read: ReadJson): Promise<ThreadRecords> {
  const tops = await allPages<Run>((cursor) =>
    read(`/runs${queryOf({ thread_id: threadId, limit: PAGE, cursor })}`),
  );
  const runs = new Map<string, Run>(tops.map((run) => [run.id, run]));
  const roots = new Set(tops.map((run) => run.root_run_id));
  for (const root of roots) {
    const below = await allPages<Run>((cursor) =>
      read(`/runs${queryOf({ root_id: root, limit: PAGE, cursor })}`),
    );
    for (const run of below) if (isBelow(run, below, runs)) runs.set(run.id, run);
  }
  const records: ThreadRecords = { threadId, runs: [...runs.values()], events: {}, messages: {} };
  for (const run of runs.values()) await readRun(run, records, read);
  return records;
}

async function readRun(run: Run, records: ThreadRecords, read: ReadJson): Promise<void> {
  const path = `/runs/${segment(run.id)}/events`;
  const events = await allPages<RunEvent>((after) =>
    read(`${path}${queryOf({ after: after ?? 0, limit: PAGE })}`),
  );
  (records.events as Record<string, RunEvent[]>)[run.id] = events;
  const thread = run.worker_thread_id;
  if (thread === null || thread === records.threadId || records.messages[thread] !== undefined) return;
  const messagesPath = `/threads/${segment(thread)}/messages`;
  const messages = await allPages<Message>((after) =>
    read(`${messagesPath}${queryOf({ after: after ?? 0, limit: PAGE })}`),
  );
  (records.messages as Record<string, Message[]>)[thread] = messages;
}

/** Whether the run is one of those, or below one of them. */
function isBelow(run: Run, all: readonly Run[], of: ReadonlyMap<string, Run>): boolean {
  const byId = new Map(all.map((one) => [one.id, one]));
  for (let at: Run | undefined = run, hops = 0; at !== undefined && hops <= all.length; hops += 1) {
    if (of.has(at.id)) return true;
    at = at.parent_run_id === null ? undefined : byId.get(at.parent_run_id);
  }
  return false;
}

async function allPages<T>(read: (cursor: string | null) => Promise<unknown>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page = (await read(cursor)) as { items: T[] } & Record<string, unknown>;
    items.push(...page.items);
    const next = page.next_cursor ?? page.next_after ?? page.next_seq ?? null;
    cursor = next === null ? null : String(next);
  } while (cursor !== null);
  return items;
}

const readingApi = runstoneApi.injectEndpoints({
  endpoints: (build) => ({
    readJson: build.query<unknown, string>({ query: (path) => path, keepUnusedDataFor: 0 }),
  }),
});

/** A thunk: reads a thread from the ledger and rebuilds its rows in the store. Rejects with the API's problem. */
export function rehydrateThread(threadId: string) {
  return async (dispatch: (action: never) => unknown, getState: () => unknown): Promise<ThreadRecords> => {
    const askedAt = selectChatRevision(getState() as WithChatRuntime);
    const read: ReadJson = async (path) => {
      const request = readingApi.endpoints.readJson.initiate(path, { forceRefetch: true, subscribe: false });
      const answer = (await dispatch(request as never)) as { data?: unknown; error?: ApiError };
      if (answer.error !== undefined) throw answer.error;
      return answer.data;
    };
    const records = await readThread(threadId, read);
    dispatch(hydrateFromLedger({ records, askedAt }) as never);
    return records;
  };
}
