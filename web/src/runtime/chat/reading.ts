import { type ApiError, runstoneApi } from "../api/api.ts";
import { queryOf, segment } from "../api/queries.ts";
import type { Message, Page, Run, RunEvent } from "../wire/records.ts";
import type { ThreadRecords } from "./rehydration.ts";
import { hydrateFromLedger, selectChatRevision, type WithChatRuntime } from "./slice.ts";

/** Reads one answer of the API. */
export type ReadJson = (path: string) => Promise<unknown>;

const PAGE = 1_000;

/** What an earlier reading gave, and the runs that went on since: null where any may have. */
export interface KnownThread {
  records: ThreadRecords;
  changed: ReadonlySet<string> | null;
}

/** All that the ledger has of a thread: the runs that were started from it, those below them, and what each did.
 *
 * Events and messages never change, so that of what is known only what came after it is read, and nothing of runs that
 * did not go on.
 */
export async function readThread(
  threadId: string,
  read: ReadJson,
  known: KnownThread | null = null,
): Promise<ThreadRecords> {
  let asOf: string | undefined;
  const tops = await allPages<Run>(async (cursor) => {
    const page = (await read(`/runs${queryOf({ thread_id: threadId, limit: PAGE, cursor })}`)) as Page<Run>;
    asOf ??= page.as_of;
    return page;
  });
  const runs = new Map<string, Run>(tops.map((run) => [run.id, run]));
  const roots = new Set(tops.map((run) => run.root_run_id));
  for (const root of roots) {
    const below = await allPages<Run>((cursor) =>
      read(`/runs${queryOf({ root_id: root, limit: PAGE, cursor })}`),
    );
    for (const run of below) if (isBelow(run, below, runs)) runs.set(run.id, run);
  }
  const events: Record<string, readonly RunEvent[]> = {};
  const messages: Record<string, readonly Message[]> = {};
  const before = known?.records;
  for (const run of runs.values()) {
    const isAsItWas = known?.changed?.has(run.id) === false && before?.events[run.id] !== undefined;
    const path = `/runs/${segment(run.id)}/events`;
    events[run.id] = await readOn(path, before?.events[run.id], isAsItWas, read);
    const thread = run.worker_thread_id;
    if (thread === null || thread === threadId || messages[thread] !== undefined) continue;
    const messagesPath = `/threads/${segment(thread)}/messages`;
    messages[thread] = await readOn(messagesPath, before?.messages[thread], isAsItWas, read);
  }
  return { threadId, runs: [...runs.values()], events, messages, ...(asOf !== undefined && { asOf }) };
}

/** What comes after what is known. */
async function readOn<T extends { seq: number }>(
  path: string,
  known: readonly T[] | undefined,
  isAsItWas: boolean,
  read: ReadJson,
): Promise<readonly T[]> {
  if (isAsItWas && known !== undefined) return known;
  const last = known?.at(-1)?.seq ?? 0;
  const fresh = await allPages<T>((after) =>
    read(`${path}${queryOf({ after: after ?? last, limit: PAGE })}`),
  );
  if (known === undefined || known.length === 0) return fresh;
  return fresh.length === 0 ? known : [...known, ...fresh];
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
export function rehydrateThread(threadId: string, known: KnownThread | null = null) {
  return async (dispatch: (action: never) => unknown, getState: () => unknown): Promise<ThreadRecords> => {
    const askedAt = selectChatRevision(getState() as WithChatRuntime);
    const read: ReadJson = async (path) => {
      const request = readingApi.endpoints.readJson.initiate(path, { forceRefetch: true, subscribe: false });
      const answer = (await dispatch(request as never)) as { data?: unknown; error?: ApiError };
      if (answer.error !== undefined) throw answer.error;
      return answer.data;
    };
    const records = await readThread(threadId, read, known);
    dispatch(hydrateFromLedger({ records, askedAt }) as never);
    return records;
  };
}
