import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

/** A browser takes a request's address relative to its page; Node's own knows of no page, nor of jsdom's signals. */
class PageRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    const { signal: _signal, ...rest } = init ?? {};
    super(typeof input === "string" ? new URL(input, window.location.href) : input, rest);
  }
}

vi.stubGlobal("Request", PageRequest);

/** jsdom has no `CSS.escape`; ids in tests need no more of it. */
vi.stubGlobal("CSS", { escape: (text: string) => text.replace(/[^\w-]/g, "\\$&") });

/** jsdom lays nothing out: everything is as large as a window, so that lists have rows in view. */
for (const [name, size] of [
  ["clientHeight", 800],
  ["clientWidth", 1200],
] as const)
  Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => size });

class NoResize {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

vi.stubGlobal("ResizeObserver", NoResize);
vi.stubGlobal("matchMedia", (media: string) => ({
  media,
  matches: false,
  addEventListener: () => {},
  removeEventListener: () => {},
}));
Element.prototype.scrollTo = function scrollTo() {};
// Parts of the app are fetched when they are first opened, which takes its time on a busy machine.
configure({ asyncUtilTimeout: 15_000 });
afterEach(cleanup);
