import { later } from "../wire/cursors.ts";
import { FRAME_NAMES, type Frame, frameOf } from "./frames.ts";

/** How the stream is: `signed_out` and `offline` need somebody; the others mend themselves. */
export type Phase = "idle" | "connecting" | "live" | "reconnecting" | "signed_out";

export interface Connection {
  phase: Phase;
  /** When the stream was last live or first missed, in milliseconds since the epoch. */
  since: number;
  /** How often it was tried in vain since then. */
  failures: number;
}

/** The part of EventSource that is used. */
export interface EventSourceLike {
  addEventListener(name: string, listener: (event: MessageEvent) => void): void;
  close(): void;
}

/** What the source works with; tests give their own. */
export interface Surroundings {
  open(url: string): EventSourceLike;
  /** The status of a plain request for the same server: why a stream did not open. */
  probe(): Promise<number>;
  now(): number;
  delay(task: () => void, ms: number): () => void;
  random(): number;
}

const FIRST_DELAY_MS = 500;
/** A server that restarts is noticed soon, and one that is gone is not asked all the time. */
const LAST_DELAY_MS = 8_000;

/** One stream to the server, reopened where it was as often as it breaks.
 *
 * It is always reopened by hand, with `after` the last cursor, and never left to EventSource, which gives up for good
 * when a server that restarts answers with an error once.
 */
export class StreamSource {
  connection: Connection;
  cursor: string | null = null;
  #topics: readonly string[] = [];
  #stream: EventSourceLike | null = null;
  #cancelDelay: (() => void) | null = null;
  #generation = 0;
  readonly #url: string;
  readonly #around: Surroundings;
  readonly #onFrame: (frame: Frame) => void;
  readonly #onConnection: (connection: Connection) => void;

  constructor(
    url: string,
    around: Surroundings,
    onFrame: (frame: Frame) => void,
    onConnection: (connection: Connection) => void,
  ) {
    this.#url = url;
    this.#around = around;
    this.#onFrame = onFrame;
    this.#onConnection = onConnection;
    this.connection = { phase: "idle", since: around.now(), failures: 0 };
  }

  /** Follows these topics from that cursor on, or from where it is, whichever is earlier. */
  follow(topics: readonly string[], after: string | null): void {
    this.#topics = topics;
    if (after !== null) this.cursor = this.cursor === null ? after : earlier(this.cursor, after);
    this.#reopen();
  }

  /** Tries at once, because there is reason to hope: the network is back, or somebody looks again. */
  retry(): void {
    if (this.connection.phase === "reconnecting" || this.connection.phase === "signed_out") this.#reopen();
  }

  close(): void {
    this.#generation += 1;
    this.#drop();
    this.#tell("idle", 0);
  }

  #drop(): void {
    this.#cancelDelay?.();
    this.#cancelDelay = null;
    this.#stream?.close();
    this.#stream = null;
  }

  #reopen(): void {
    this.#drop();
    this.#generation += 1;
    if (this.#topics.length === 0) {
      this.#tell("idle", 0);
      return;
    }
    if (this.connection.phase === "idle") this.#tell("connecting", 0);
    const generation = this.#generation;
    const query = new URLSearchParams({ topics: this.#topics.join(",") });
    if (this.cursor !== null) query.set("after", this.cursor);
    const stream = this.#around.open(`${this.#url}?${query}`);
    this.#stream = stream;
    const mine = (task: (event: MessageEvent) => void) => (event: MessageEvent) => {
      if (generation === this.#generation) task(event);
    };
    stream.addEventListener(
      "open",
      mine(() => this.#tell("live", 0)),
    );
    stream.addEventListener(
      "error",
      mine(() => void this.#fail(generation)),
    );
    for (const name of FRAME_NAMES)
      stream.addEventListener(
        name,
        mine((event) => this.#take(name, event)),
      );
  }

  #take(name: string, event: MessageEvent): void {
    const frame = frameOf(name, event.lastEventId, String(event.data ?? ""));
    if (frame.kind === "reconnect") {
      // The server is about to end the stream and asks for another one, now.
      this.#reopen();
      return;
    }
    if (this.connection.phase !== "live") this.#tell("live", 0);
    if (frame.kind === "reset") this.cursor = frame.cursor;
    else if (frame.cursor !== null) this.cursor = later(this.cursor, frame.cursor);
    this.#onFrame(frame);
  }

  async #fail(generation: number): Promise<void> {
    this.#drop();
    const failures = this.connection.failures + 1;
    if (this.connection.phase !== "signed_out") this.#tell("reconnecting", failures);
    const status = await this.#around.probe().catch(() => 0);
    if (generation !== this.#generation) return;
    const signedOut = status === 401 || status === 403;
    this.#tell(signedOut ? "signed_out" : "reconnecting", failures);
    const bound = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10));
    // Apart by chance, so that the tabs and browsers of a server that restarts don't come all at once.
    const delay = bound * (0.5 + this.#around.random() / 2);
    this.#cancelDelay = this.#around.delay(() => this.#reopen(), delay);
  }

  #tell(phase: Phase, failures: number): void {
    const { connection } = this;
    const changed = phase !== connection.phase;
    if (!changed && failures === connection.failures) return;
    const since = changed ? this.#around.now() : connection.since;
    this.connection = { phase, since, failures };
    this.#onConnection(this.connection);
  }
}

function earlier(a: string, b: string): string {
  return later(a, b) === a ? b : a;
}
