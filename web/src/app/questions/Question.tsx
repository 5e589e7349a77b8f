import { type ApiError, type InputRequest, useAnswerInputMutation } from "@runstone/react";
import { type KeyboardEvent, useRef, useState } from "react";
import { Age } from "../design/Age.tsx";
import { Button } from "../design/Button.tsx";
import { useNow } from "../design/Clock.tsx";
import { LongText } from "../design/LongText.tsx";
import { formatAge } from "../format/durations.ts";
import { visible } from "../format/visible.ts";
import { useDraft } from "../forms/drafts.ts";
import { schemaOf } from "../forms/schemas.ts";
import { type Draft, readDraft, ValueForm } from "../forms/ValueForm.tsx";
import { useShortcuts } from "../shell/shortcuts.ts";
import styles from "./Question.module.css";

interface Props {
  input: InputRequest;
  /** Who asks, where that is not said beside it. */
  asker?: string | null | undefined;
  /** Number keys lead to its choices from anywhere on the page; another press, or Enter, gives the answer. */
  keys?: boolean;
}

/** A draft of a plain text, or of a form. */
type Typed = Draft & { plain?: string };

/** A question of a run, and its answer. What is typed is kept in this browser until it is sent. */
export function Question({ input, asker, keys = false }: Props) {
  const [answer, { isLoading, error, data }] = useAnswerInputMutation();
  const [typed, setTyped] = useDraft<Typed>(`answer:${input.id}`);
  const shown = data ?? firstAnswerOf(error) ?? input;
  if (shown.status !== "open")
    return (
      <Settled
        input={shown}
        late={error !== undefined}
        unsent={data === undefined ? typed : null}
        onDiscard={() => setTyped(null)}
      />
    );
  const send = (response: unknown) => {
    // The key is of the question and the answer: sent twice, it counts once.
    void answer({ id: input.id, response, key: keyOf(input.id, response) })
      .unwrap()
      .then(() => setTyped(null))
      .catch(() => undefined);
  };
  const asks = { input, typed, setTyped, send, busy: isLoading };
  return (
    <article className={styles.question} aria-label="Question">
      <LongText text={input.message} label="the whole question" />
      <p className={styles.quiet}>
        Asked{asker ? ` by ${visible(asker)}` : ""} · <Age at={input.asked_at} />
        {input.reason ? ` · ${visible(input.reason)}` : ""}
      </p>
      <Expiry input={input} />
      {(input.choices ?? []).length > 0 ? (
        <Choices {...asks} keys={keys} />
      ) : schemaOf(input.response_schema) !== null ? (
        <Form {...asks} />
      ) : (
        <Reply {...asks} />
      )}
      {error === undefined ? null : (
        <p role="alert" className={styles.error}>
          {visible(`${(error as ApiError).detail} ${(error as ApiError).hint}`)}
        </p>
      )}
    </article>
  );
}

interface Asks {
  input: InputRequest;
  typed: Typed | null;
  setTyped: (typed: Typed | null) => void;
  send: (response: unknown) => void;
  busy: boolean;
}

function Choices({ input, send, busy, keys }: Asks & { keys: boolean }) {
  const choices = input.choices ?? [];
  const box = useRef<HTMLDivElement>(null);
  useShortcuts(
    (keys ? choices.slice(0, 9) : []).map((choice, index) => ({
      keys: String(index + 1),
      does: `Answer: ${wordOf(choice).slice(0, 60)}`,
      act: () => box.current?.querySelectorAll("button")[index]?.focus(),
    })),
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const index = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : choices.length;
    if (busy || index >= choices.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    send(choices[index]);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: its buttons have the keys' focus
    <div className={styles.choices} ref={box} onKeyDown={onKeyDown}>
      {choices.map((choice, index) => (
        <Button
          key={wordOf(choice)}
          disabled={busy}
          {...(index < 9 && { "aria-keyshortcuts": String(index + 1) })}
          onClick={() => send(choice)}
        >
          {index < 9 ? <kbd className={styles.number}>{index + 1}</kbd> : null}
          <span className={styles.choice}>{wordOf(choice)}</span>
        </Button>
      ))}
    </div>
  );
}

function Form({ input, typed, setTyped, send, busy }: Asks) {
  const [tried, setTried] = useState(false);
  const schema = schemaOf(input.response_schema);
  const proposed = input.default === undefined ? null : { value: input.default };
  const draft = typed ?? proposed;
  const { value, faults } = readDraft(schema, draft);
  const edited = typed !== null && JSON.stringify(value) !== JSON.stringify(proposed?.value);
  const submit = () => {
    setTried(true);
    if (faults.size === 0) send(value);
  };
  return (
    <form
      className={styles.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <ValueForm
        label="Your answer"
        schema={schema}
        draft={draft}
        onChange={setTyped}
        strict={tried}
        onSend={submit}
      />
      <div className={styles.choices}>
        <Button type="submit" look="primary" disabled={busy}>
          {busy ? "Sending…" : proposed === null ? "Answer" : edited ? "Approve with edits" : "Approve"}
        </Button>
        {edited && proposed !== null ? (
          <Button onClick={() => setTyped(null)}>Take the edits back</Button>
        ) : null}
        {tried && faults.size > 0 ? (
          <span role="alert" className={styles.error}>
            {faults.size === 1 ? "One place does not fit." : `${faults.size} places do not fit.`}
          </span>
        ) : null}
      </div>
    </form>
  );
}

/** An answer without a shape: text, or JSON for who wants to give it. */
function Reply({ typed, setTyped, send, busy }: Asks) {
  const isJson = typed?.text !== undefined;
  const plain = typed?.plain ?? "";
  const { value, faults } = readDraft(null, typed);
  const ready = isJson ? faults.size === 0 : plain.trim() !== "";
  const submit = () => {
    if (ready) send(isJson ? value : plain);
  };
  return (
    <form
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {isJson ? (
        <ValueForm
          label="Your answer, as JSON"
          schema={null}
          draft={typed}
          onChange={(next) => setTyped({ ...next, plain })}
          strict={false}
          onSend={submit}
        />
      ) : (
        <textarea
          className={styles.text}
          aria-label="Your answer"
          rows={2}
          value={plain}
          onChange={(event) => setTyped(event.target.value === "" ? null : { plain: event.target.value })}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
          }}
        />
      )}
      <div className={styles.choices}>
        <Button type="submit" look="primary" disabled={busy || !ready}>
          {busy ? "Sending…" : "Answer"}
        </Button>
        <Button
          look="bare"
          onClick={() => setTyped(isJson ? (plain === "" ? null : { plain }) : { plain, text: "" })}
        >
          {isJson ? "Write text" : "Write JSON"}
        </Button>
      </div>
    </form>
  );
}

interface SettledProps {
  input: InputRequest;
  late: boolean;
  unsent: Typed | null;
  onDiscard: () => void;
}

function Settled({ input, late, unsent, onDiscard }: SettledProps) {
  const words = { answered: "Answered", expired: "Expired", withdrawn: "No longer asked", open: "Open" };
  const left =
    unsent === null ? "" : (unsent.plain ?? unsent.text ?? JSON.stringify(unsent.value, null, 2) ?? "");
  return (
    <article className={styles.question} aria-label="Question" data-settled>
      <LongText text={input.message} label="the whole question" />
      <p className={styles.quiet} role="status">
        {late ? "Somebody else was first. " : ""}
        {words[input.status]}
        {input.answered_by ? ` by ${visible(input.answered_by)}` : ""}{" "}
        <Age at={input.answered_at ?? input.closed_at} />
        {input.status === "expired" && input.default !== undefined ? "; this was taken:" : ""}
      </p>
      {input.status === "answered" ? (
        <LongText text={textOf(input.response)} label="the whole answer" />
      ) : input.status === "expired" && input.default !== undefined ? (
        <LongText text={textOf(input.default)} label="the whole answer" />
      ) : null}
      {left === "" ? null : (
        <div className={styles.unsent}>
          <p className={styles.quiet}>What you had typed here was not sent:</p>
          <LongText text={left} label="all that you typed" />
          <Button onClick={onDiscard}>Discard it</Button>
        </div>
      )}
    </article>
  );
}

function Expiry({ input }: { input: InputRequest }) {
  const now = useNow();
  if (input.expires_at === null) return null;
  const left = Date.parse(input.expires_at) - now;
  const then =
    input.default === undefined
      ? ""
      : `; then it is taken as ${visible(wordOf(input.default).slice(0, 200))}`;
  return (
    <p className={styles.quiet}>{left > 0 ? `Expires in ${formatAge(left)}${then}` : "Its time is over"}</p>
  );
}

/** A choice or an answer as text: any JSON value can be one. */
function wordOf(value: unknown): string {
  return typeof value === "string" ? visible(value) : JSON.stringify(value);
}

/** An answer to read. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** The answer that came first, in the refusal of one that came later. */
function firstAnswerOf(error: unknown): InputRequest | null {
  const { input } = (error ?? {}) as { input?: InputRequest };
  return input ?? null;
}

function keyOf(id: string, response: unknown): string {
  let hash = 5381;
  for (const char of JSON.stringify(response)) hash = ((hash * 33) ^ char.charCodeAt(0)) >>> 0;
  return `answer-${id}-${hash.toString(36)}`;
}
