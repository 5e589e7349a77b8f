/** What a person does: what is sent, what is shown of it, and what stays where it fails. */
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { madeRun, timeAt } from "../records/made.ts";
import { type Answers, renderAt } from "../records/served.tsx";

beforeEach(() => localStorage.clear());

const bodyOf = async (request: Request | undefined) => JSON.parse((await request?.text()) ?? "null");

/** A run with what its page asks for. */
function answersFor(run: ReturnType<typeof madeRun>, more: Answers = {}): Answers {
  const page = { items: [], next_cursor: null, as_of: "e-1" };
  return {
    [`/runs/${run.id}`]: run,
    [`/runs/${run.id}/inputs`]: { items: [] },
    [`/runs/${run.id}/commands`]: { items: [] },
    [`/runs/${run.id}/events?limit=1000`]: page,
    ...more,
  };
}

const QUESTION = {
  id: "q1",
  run_id: "r1",
  attempt: 1,
  key: null,
  reason: "it is the last step",
  message: "Publish \u202ethis\u202c?",
  response_schema: null as unknown,
  choices: null as unknown[] | null,
  expires_at: null,
  status: "open",
  response: null as unknown,
  answered_by: null as string | null,
  answered_at: null as string | null,
  asked_at: timeAt(1),
  closed_at: null,
};

const asking = (question: object) =>
  answersFor(madeRun("r1", { status: "awaiting_user", completed_at: null }), {
    "/runs/r1/inputs": { items: [{ ...QUESTION, ...question }] },
  });

const FORM = {
  response_schema: {
    type: "object",
    required: ["title", "ok"],
    properties: { title: { type: "string", minLength: 1 }, ok: { type: "boolean", title: "May go out" } },
  },
  default: { title: "A quiet release", ok: true },
};

describe("answering", () => {
  test("a question says who asks and why, and what is hidden in it", async () => {
    renderAt("/runs/r1", asking({}));
    const question = await screen.findByRole("article", { name: "Question" });
    expect(question.textContent).toContain("Publish ⟨U+202E⟩this⟨U+202C⟩?");
    expect(question.textContent).toContain("Asked by researcher");
    expect(question.textContent).toContain("it is the last step");
  });

  test("a number key leads to a choice from anywhere, and the same key again gives it, once", async () => {
    const { sent } = renderAt("/runs/r1", {
      ...asking({ choices: ["main", "dev"] }),
      "POST /inputs/q1/answer": { ...QUESTION, status: "answered", response: "dev", answered_by: "ana" },
    });
    const choice = await screen.findByRole("button", { name: /dev/ });
    await userEvent.keyboard("2");
    expect(document.activeElement).toBe(choice);
    expect(sent).toEqual([]);
    await userEvent.keyboard("2");
    await screen.findByText(/Answered by ana/);
    expect(await bodyOf(sent[0])).toEqual({ response: "dev" });
    expect(sent).toHaveLength(1);
  });

  test("a proposed answer is approved as it is, or with edits, which can be taken back", async () => {
    const { sent } = renderAt("/runs/r1", {
      ...asking(FORM),
      "POST /inputs/q1/answer": { ...QUESTION, ...FORM, status: "answered", response: {} },
    });
    await screen.findByRole("button", { name: "Approve" });
    const title = screen.getByRole("textbox", { name: /title/ });
    await userEvent.clear(title);
    await userEvent.click(screen.getByRole("button", { name: "Approve with edits" }));
    expect(screen.getByRole("alert").textContent).toBe("One place does not fit.");
    expect(sent).toEqual([]);
    await userEvent.type(title, "Louder");
    await userEvent.click(screen.getByRole("button", { name: "Approve with edits" }));
    await screen.findByText(/^Answered/);
    expect(await bodyOf(sent[0])).toEqual({ response: { title: "Louder", ok: true } });
  });

  test("what is typed is there after a reload, and in another tab", async () => {
    renderAt("/runs/r1", asking({}));
    await userEvent.type(await screen.findByRole("textbox", { name: "Your answer" }), "not yet");
    cleanup();
    renderAt("/runs/r1", asking({}));
    const box = (await screen.findByRole("textbox", { name: "Your answer" })) as HTMLTextAreaElement;
    expect(box.value).toBe("not yet");
    const key = "runstone.draft:answer:q1";
    localStorage.setItem(key, JSON.stringify({ plain: "from the other tab" }));
    window.dispatchEvent(new StorageEvent("storage", { key }));
    await waitFor(() => expect(box.value).toBe("from the other tab"));
  });

  test("a stale answer shows the first one, and what was typed is not lost", async () => {
    const first = { ...QUESTION, status: "answered", response: "later", answered_by: "bo" };
    renderAt("/runs/r1", {
      ...asking({}),
      "POST /inputs/q1/answer": Response.json(
        { code: "already_answered", detail: "it was answered", status: 409, input: first },
        { status: 409 },
      ),
    });
    await userEvent.type(await screen.findByRole("textbox", { name: "Your answer" }), "now");
    await userEvent.click(screen.getByRole("button", { name: "Answer" }));
    const question = await screen.findByText(/Somebody else was first/);
    const section = question.closest("article") as HTMLElement;
    expect(section.textContent).toContain("Answered by bo");
    expect(within(section).getByText("later")).toBeTruthy();
    expect(within(section).getByText("now")).toBeTruthy();
  });
});

const DEFINITIONS: Answers = {
  "/workflows": {
    trusted: true,
    items: [
      {
        name: "review",
        version: "1",
        kind: "workflow",
        form: "declarative",
        about: "",
        input_schema: null,
        input_fields: { path: "string", depth: "integer?" },
        secret_fields: [],
        phases: [
          { name: "read", agent: "reader" },
          { name: "choose", agent: "chooser", depends_on: ["read"] },
        ],
      },
    ],
  },
  "/agents": { trusted: true, items: [] },
};

describe("starting", () => {
  test("planned phases stand before a start; a form that does not fit is not sent; then the run is shown", async () => {
    const made = madeRun("new", { title: "Mine", status: "pending" });
    const { sent } = renderAt("/workflows", { ...DEFINITIONS, ...answersFor(made), "POST /runs": made });
    const planned = await screen.findByRole("list", { name: "Planned phases" });
    expect([...planned.children].map((one) => one.textContent)).toEqual([
      "readreader",
      "choosechooser · after read",
    ]);
    await userEvent.click(screen.getByRole("button", { name: "Start review" }));
    const dialog = within(await screen.findByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Start" }));
    expect(dialog.getByRole("alert").textContent).toContain("One place");
    expect(sent).toEqual([]);
    await userEvent.type(dialog.getByRole("textbox", { name: /^path/ }), "src");
    await userEvent.type(dialog.getByRole("textbox", { name: /^Title/ }), "Mine");
    await userEvent.type(dialog.getByRole("textbox", { name: "At most tokens" }), "5000");
    await userEvent.click(dialog.getByRole("button", { name: "Start" }));
    await waitFor(() => expect(window.location.pathname).toBe("/runs/new"));
    expect(await bodyOf(sent[0])).toEqual({
      name: "review",
      input: { path: "src" },
      title: "Mine",
      budget: { max_tokens: 5000 },
    });
  });

  test("a workspace that is not trusted says what to type", async () => {
    renderAt("/workflows", {
      "/workflows": { trusted: false, items: [] },
      "/agents": { trusted: false, items: [] },
    });
    expect(await screen.findByText("runstone up --trust")).toBeTruthy();
  });
});

const PLAN = {
  run_id: "r1",
  status: "failed",
  reuse: [
    {
      kind: "child",
      name: "reader",
      key: "k",
      phase: "read",
      child_run_id: "c",
      status: "completed",
      tokens: 1200,
      cost_usd: "0.01",
      parent_run_id: "r1",
    },
  ],
  rerun: [],
  start: [],
  raised: [],
  superseded: [],
  exact: true,
  warnings: [],
  reused_tokens: 1200,
  reused_cost_usd: "0.01",
};

describe("orders", () => {
  const command = (status: string, more: object = {}) => ({
    id: status,
    run_id: "r1",
    verb: "pause",
    payload: { scope: "subtree" },
    status,
    requested_by: "ana",
    reason: null,
    requested_at: timeAt(1),
    acknowledged_at: null,
    ended_at: null,
    ...more,
  });

  test("what is shown of an order is what the ledger has, no step ahead", async () => {
    const run = madeRun("r1", { status: "running", completed_at: null });
    renderAt("/runs/r1", answersFor(run, { "/runs/r1/commands": { items: [command("requested")] } }));
    const shown = await screen.findByText(/^requested/);
    const steps = shown.parentElement as HTMLElement;
    expect(steps.textContent).toContain("pause with all below: requested");
    expect(steps.textContent).not.toMatch(/acknowledged|applied/);
  });

  test("a refused order says why", async () => {
    const refused = command("rejected", { ended_at: timeAt(2), reason: "it had ended" });
    renderAt("/runs/r1", answersFor(madeRun("r1"), { "/runs/r1/commands": { items: [refused] } }));
    const steps = (await screen.findByText(/^requested/)).parentElement as HTMLElement;
    expect(steps.textContent).toMatch(/rejected .*it had ended/);
  });

  test("x x asks first, and says how many runs below it are under way", async () => {
    const run = madeRun("r1", { status: "running", completed_at: null });
    const node = (one: object) => ({ run: one, own: null, subtree: null, reused: false });
    const below = [
      madeRun("a", { parent_run_id: "r1", status: "running" }),
      madeRun("b", { parent_run_id: "a", status: "waiting" }),
      madeRun("c", { parent_run_id: "r1" }),
    ];
    const { sent } = renderAt(
      "/runs/r1",
      answersFor(run, {
        "/runs/r1/tree": { items: [run, ...below].map(node), as_of: "e-1" },
        "POST /runs/r1/commands": command("requested", { verb: "stop" }),
      }),
    );
    await screen.findByRole("button", { name: "Stop" });
    await userEvent.keyboard("xx");
    const dialog = within(await screen.findByRole("dialog"));
    await dialog.findByText("Below it 2 runs are not at an end, 1 of them running now.");
    expect(sent).toEqual([]);
    await userEvent.click(dialog.getByRole("button", { name: "Stop it and all below it" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(await bodyOf(sent[0])).toEqual({ verb: "stop", scope: "subtree" });
    expect(sent[0]?.headers.get("Idempotency-Key")).toMatch(/subtree$/);
  });

  test("keys that do something on the page do nothing in a dialog", async () => {
    const run = madeRun("r1", { status: "running", completed_at: null });
    renderAt("/runs/r1", answersFor(run, { "/runs/r1/tree": { items: [], as_of: "e-1" } }));
    await userEvent.click(await screen.findByRole("button", { name: "Pause" }));
    (await screen.findByRole("button", { name: "Let it go on" })).focus();
    await userEvent.keyboard("xx");
    expect(screen.getByRole("dialog", { name: "Pause this run?" })).toBeTruthy();
  });

  test("a pause says what it does not stop", async () => {
    const run = madeRun("r1", { status: "running", completed_at: null });
    renderAt("/runs/r1", answersFor(run, { "/runs/r1/tree": { items: [], as_of: "e-1" } }));
    await userEvent.click(await screen.findByRole("button", { name: "Pause" }));
    expect((await screen.findByRole("dialog")).textContent).toContain("A pause does not stop: a tool call");
  });

  test("a retry shows what is used again first; with a message the run goes on with it", async () => {
    const run = madeRun("r1", { status: "failed" });
    const { sent } = renderAt(
      "/runs/r1",
      answersFor(run, { "/runs/r1/plan": PLAN, "POST /runs/r1/continue": run }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Retry" }));
    const dialog = within(await screen.findByRole("dialog"));
    expect((await dialog.findByText(/used again, which had taken/)).textContent).toContain(
      "1.2K tokens and $0.01",
    );
    await userEvent.type(dialog.getByRole("textbox"), "leave the wiki out");
    await userEvent.click(dialog.getByRole("button", { name: "Retry" }));
    const gone = () => sent.filter((one) => !one.url.endsWith("/plan"));
    await waitFor(() => expect(gone()).toHaveLength(1));
    expect(new URL(gone()[0]?.url ?? "").pathname).toBe("/api/v1/runs/r1/continue");
    expect(await bodyOf(gone()[0])).toEqual({ message: "leave the wiki out" });
  });

  test("a rule changes what is planned, and the run goes on by what was shown", async () => {
    const run = madeRun("r1", { status: "interrupted", kind: "workflow" });
    const { sent } = renderAt(
      "/runs/r1",
      answersFor(run, {
        "/runs/r1/plan": { ...PLAN, exact: false },
        "/runs/r1/phases": { items: [] },
        "POST /runs/r1/resume": run,
      }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Resume" }));
    const dialog = within(await screen.findByRole("dialog"));
    await dialog.findByText(/used again, which had taken/);
    await userEvent.click(dialog.getByText("By which rules it goes on"));
    await userEvent.selectOptions(dialog.getByLabelText("What failed"), "fails as it did");
    await userEvent.click(await dialog.findByRole("button", { name: "Do it again: reader" }));
    await userEvent.click(await dialog.findByRole("button", { name: "Find out exactly" }));
    const policy = { failed: "keep", rerun: ["c"] };
    const plans = () => sent.filter((one) => one.url.endsWith("/plan"));
    await waitFor(() => expect(plans()).toHaveLength(4));
    expect(await bodyOf(plans()[0])).toEqual({ policy: {}, simulate: false });
    expect(await bodyOf(plans()[3])).toEqual({ policy, simulate: true });
    await dialog.findByText(/used again, which had taken/);
    await userEvent.click(dialog.getByRole("button", { name: "Resume" }));
    await waitFor(() => expect(sent.some((one) => one.url.endsWith("/resume"))).toBe(true));
    expect(await bodyOf(sent.find((one) => one.url.endsWith("/resume")))).toEqual({ policy });
  });

  test("an interrupted run can be resumed, stopped or forked, and not paused or told anything", async () => {
    renderAt("/runs/r1", answersFor(madeRun("r1", { status: "interrupted", completed_at: null })));
    await screen.findByRole("button", { name: "Resume" });
    expect(screen.getByRole("button", { name: "Stop" })).toBeTruthy();
    expect(screen.getByRole("button", { name: "Fork" })).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Pause" })).toBeNull();
    expect(screen.queryByRole("button", { name: "Message" })).toBeNull();
  });

  test("an interrupted part of another run leads to the whole, which is what can be resumed", async () => {
    const more = { parent_run_id: "whole", root_run_id: "whole", depth: 1, completed_at: null };
    renderAt("/runs/r1", {
      ...answersFor(madeRun("r1", { ...more, status: "interrupted" })),
      "/runs/whole": madeRun("whole", { status: "interrupted", title: "The whole" }),
    });
    const link = await screen.findByRole("link", { name: "The whole" });
    expect(link.getAttribute("href")).toBe("/runs/whole");
    expect(link.parentElement?.textContent).toBe("It goes on with the whole: resume The whole");
    expect(screen.queryByRole("button", { name: "Resume" })).toBeNull();
  });

  test("a paused part of another run is resumed by an order", async () => {
    const run = madeRun("r1", { status: "paused", depth: 1, parent_run_id: "w", root_run_id: "w" });
    const { sent } = renderAt(
      "/runs/r1",
      answersFor(run, { "POST /runs/r1/commands": command("requested", { verb: "resume" }) }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Resume" }));
    await userEvent.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Resume" }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(await bodyOf(sent[0])).toEqual({ verb: "resume", scope: "subtree" });
  });

  test("labels are changed all together, and one without a name is not", async () => {
    const run = madeRun("r1", { title: "Old", labels: { team: "core" } });
    const { sent } = renderAt("/runs/r1", answersFor(run, { "PATCH /runs/r1": run }));
    await userEvent.click(await screen.findByRole("button", { name: "Edit" }));
    const dialog = within(await screen.findByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Add a label" }));
    await userEvent.type(dialog.getByRole("textbox", { name: "Value of label 2" }), "x");
    expect((dialog.getByRole("button", { name: "Save" }) as HTMLButtonElement).disabled).toBe(true);
    await userEvent.type(dialog.getByRole("textbox", { name: "Name of label 2" }), "env");
    await userEvent.click(dialog.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(await bodyOf(sent[0])).toEqual({ labels: { team: "core", env: "x" } });
  });
});

const CHECKPOINT = (number: number) => ({
  run_id: "r1",
  number,
  attempt: 1,
  label: number === 1 ? "begin" : null,
  state_ref: `r1@${number}`,
  definition_hash: null,
  parent: number === 1 ? null : number - 1,
  created_at: timeAt(number),
  stored_bytes: 10,
});

describe("checkpoints and forks", () => {
  const run = madeRun("r1");
  const saved = {
    "/runs/r1/checkpoints": { items: [CHECKPOINT(1), CHECKPOINT(2)] },
    "/runs/r1/checkpoints/2/diff": {
      changes: [
        { action: "changed", path: "/note", text: ["@@ -1 +1 @@", "-one", "+t\u202ewo"] },
        { action: "added", path: "/big", after_bytes: 600_000 },
      ],
    },
  };

  test("a link to a pair shows what differs; large values are told by their size", async () => {
    const { asked } = renderAt("/runs/r1?tab=checkpoints&checkpoint=2&against=1", answersFor(run, saved));
    const shown = await screen.findByRole("region", { name: "Differences" });
    expect(shown.textContent).toContain("From checkpoint 1 to 2: 2 differences");
    expect(shown.textContent).toContain("+t⟨U+202E⟩wo");
    expect(shown.textContent).toContain("a value of 586 KB");
    expect(asked.some((one) => one.includes("/diff?against=1&max_bytes="))).toBe(true);
  });

  test("a fork is planned before it is made, with the edited input, and is gone to", async () => {
    const made = madeRun("fork", { forked_from: "r1", status: "pending" });
    const { sent } = renderAt(
      "/runs/r1?tab=checkpoints&checkpoint=1",
      answersFor(run, {
        ...saved,
        ...answersFor(made),
        "/runs/r1/checkpoints/1": { checkpoint: CHECKPOINT(1), state: { note: "one" }, bytes: 14 },
        "/runs/r1/input": { value: { path: "a" }, bytes: 12, ref: "d" },
        "POST /runs/r1/fork": { ...made, ...PLAN, id: "fork" },
      }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Fork from here" }));
    const dialog = within(await screen.findByRole("dialog"));
    const input = await dialog.findByRole("textbox", { name: "Input" });
    await waitFor(() => expect((input as HTMLTextAreaElement).value).toContain('"a"'));
    await userEvent.clear(input);
    await userEvent.type(input, "{{");
    expect(dialog.getByText(/no JSON/)).toBeTruthy();
    await userEvent.type(input, '"path": "b"}');
    await userEvent.click(dialog.getByRole("button", { name: "Show what it would do" }));
    await dialog.findByText(/used again, which had taken/);
    expect(sent.map((one) => one.method)).toEqual(["POST"]);
    expect(await bodyOf(sent[0])).toEqual({ checkpoint: 1, input: { path: "b" }, dry_run: true });
    await userEvent.click(dialog.getByRole("button", { name: "Fork and start" }));
    await waitFor(() => expect(window.location.pathname).toBe("/runs/fork"));
    expect(await bodyOf(sent[1])).toEqual({ checkpoint: 1, input: { path: "b" } });
  });
});

describe("values", () => {
  test("a large value says its size, and its bytes are fetched when that is asked for, as text", async () => {
    const text = `${"A".repeat(2_000_000)}<img src=x onerror=alert(1)>`;
    const { asked } = renderAt(
      "/runs/r1?tab=values&part=result",
      answersFor(madeRun("r1"), {
        "/runs/r1/result": { value: null, bytes: 2_000_028, ref: "digest", cut: true },
        "/blobs/digest": new Response(text),
      }),
    );
    await screen.findByText("Result has 1.9 MB");
    expect(asked.some((one) => one.includes("/blobs/"))).toBe(false);
    const parse = vi.spyOn(JSON, "parse");
    await userEvent.click(screen.getByRole("button", { name: "Load 1.9 MB" }));
    const shown = await screen.findByRole("region", { name: "Result" });
    expect(parse.mock.calls.some(([given]) => String(given).length > 1_000_000)).toBe(false);
    expect(shown.querySelectorAll("bdi").length).toBeLessThan(100);
    expect(document.querySelector("img")).toBeNull();
  });
});

describe("settings", () => {
  test("a key can be another, and one that is taken is not", async () => {
    renderAt("/settings", {
      "/meta": { name: "runstone", version: "9.9", api: "v1", capabilities: [], as_of: "e-1" },
    });
    const home = await screen.findByRole("textbox", { name: "Go to Home" });
    await userEvent.clear(home);
    await userEvent.type(home, "g r{Enter}");
    expect(screen.getByText("That key does something else.")).toBeTruthy();
    await userEvent.clear(home);
    await userEvent.type(home, "z{Enter}");
    (document.activeElement as HTMLElement).blur();
    await userEvent.keyboard("z");
    expect(window.location.pathname).toBe("/");
  });

  test("notifications are asked for on a click and never before", async () => {
    const requestPermission = vi.fn(async () => "granted");
    vi.stubGlobal("Notification", Object.assign(class {}, { permission: "default", requestPermission }));
    renderAt("/settings", {});
    await userEvent.click(await screen.findByRole("button", { name: "Turn them on" }));
    expect(requestPermission).toHaveBeenCalledTimes(1);
  });
});
