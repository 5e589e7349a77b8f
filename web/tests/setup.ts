import { cleanup } from "@testing-library/react";
import { afterEach, vi } from "vitest";

/** A browser takes a request's address relative to its page; Node's own knows of no page, nor of jsdom's signals. */
class PageRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    const { signal: _signal, ...rest } = init ?? {};
    super(typeof input === "string" ? new URL(input, window.location.href) : input, rest);
  }
}

vi.stubGlobal("Request", PageRequest);
afterEach(cleanup);
