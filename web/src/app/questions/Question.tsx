import { type ApiError, type InputRequest, useAnswerInputMutation } from "@runstone/react";
import { type KeyboardEvent, useState } from "react";
import { Age } from "../design/Age.tsx";
import { Button } from "../design/Button.tsx";
import { useNow } from "../design/Clock.tsx";
import { LongText } from "../design/LongText.tsx";
import { formatAge } from "../format/durations.ts";
import { visible } from "../format/visible.ts";
import { store, stored } from "../shell/settings.ts";
import styles from "./Question.module.css";

/** A question of a run, and its answer. What is typed is kept in this browser until it is sent. */
export function Question({ input }: { input: InputRequest }) {
  const [answer, { isLoading, error, data }] = useAnswerInputMutation();
  const [text, setText] = useDraft(input.id);
  const shown = data ?? firstAnswerOf(error) ?? input;
  if (shown.status !== "open") return <Settled input={shown} late={error !== undefined} />;
  const send = (response: unknown) => {
    // The key is of the question and the answer: sent twice, it counts once.
    void answer({ id: input.id, response, key: keyOf(input.id, response) })
      .unwrap()
      .then(() => setText(""))
      .catch(() => undefined);
  };
  const choices = input.choices ?? [];
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLElement && event.target.closest("textarea, input") !== null) return;
    const index = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : choices.length;
    if (index >= choices.length) return;
    event.preventDefault();
    event.stopPropagation();
    send(choices[index]);
  };
  return (
    <section className={styles.question} aria-label="Question" onKeyDown={onKeyDown}>
      <LongText text={input.message} label="the whole question" />
      <Expiry at={input.expires_at} />
      {choices.length > 0 ? (
        <div className={styles.choices}>
          {choices.map((choice, index) => (
            <Button key={wordOf(choice)} disabled={isLoading} onClick={() => send(choice)}>
              {index < 9 ? <kbd className={styles.number}>{index + 1}</kbd> : null}
              <span className={styles.choice}>{wordOf(choice)}</span>
            </Button>
          ))}
        </div>
      ) : (
        <form
          className={styles.reply}
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim() !== "") send(text);
          }}
        >
          <textarea
            aria-label="Your answer"
            rows={2}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
                event.currentTarget.form?.requestSubmit();
            }}
          />
          <Button type="submit" look="primary" disabled={isLoading || text.trim() === ""}>
            {isLoading ? "Sending…" : "Answer"}
          </Button>
        </form>
      )}
      {error === undefined ? null : (
        <p role="alert" className={styles.error}>
          {(error as ApiError).detail} {(error as ApiError).hint}
        </p>
      )}
    </section>
  );
}

function Settled({ input, late }: { input: InputRequest; late: boolean }) {
  const words = { answered: "Answered", expired: "Expired", withdrawn: "No longer asked", open: "Open" };
  return (
    <section className={styles.question} aria-label="Question" data-settled>
      <LongText text={input.message} label="the whole question" />
      <p className={styles.quiet}>
        {late ? "Somebody else was first. " : ""}
        {words[input.status]}
        {input.answered_by ? ` by ${input.answered_by}` : ""} <Age at={input.answered_at} />
      </p>
      {input.status === "answered" ? (
        <LongText text={wordOf(input.response)} label="the whole answer" />
      ) : null}
    </section>
  );
}

function Expiry({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return null;
  const left = Date.parse(at) - now;
  return <p className={styles.quiet}>{left > 0 ? `Expires in ${formatAge(left)}` : "Its time is over"}</p>;
}

/** What is typed, kept under the question's id. */
function useDraft(id: string): [string, (text: string) => void] {
  const key = `runstone.draft:${id}`;
  const [text, setText] = useState(() => stored(key, ""));
  return [
    text,
    (next) => {
      setText(next);
      store(key, next === "" ? undefined : next);
    },
  ];
}

/** A choice or an answer as text: any JSON value can be one. */
function wordOf(value: unknown): string {
  return visible(typeof value === "string" ? value : JSON.stringify(value));
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
