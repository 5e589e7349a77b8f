/** What is around every screen: the menu of a narrow page, the palette, and the end of a session. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { renderAt } from "../records/served.tsx";

const narrow = (matches: boolean) =>
  vi.stubGlobal("matchMedia", (media: string) => ({
    media,
    matches: matches && media.includes("max-width"),
    addEventListener: () => {},
    removeEventListener: () => {},
  }));

beforeEach(() => localStorage.clear());
afterEach(() => narrow(false));

describe("on a narrow page", () => {
  beforeEach(() => narrow(true));

  test("the screens are in a menu that says where one is, and closes by Escape and by going", async () => {
    renderAt("/threads", { "/threads": { items: [], next_cursor: null, as_of: "e-1" } });
    const button = await screen.findByRole("button", { name: /^Menu: ?Threads$/ });
    expect(screen.queryByRole("navigation", { name: "Screens" })).toBeNull();
    await userEvent.click(button);
    const links = within(screen.getByRole("navigation", { name: "Screens" })).getAllByRole("link");
    expect(links.map((link) => link.textContent)).toEqual([
      "Home",
      "Runs",
      "Workflows",
      "Threads",
      "Usage",
      "Settings",
    ]);
    expect(links.map((link) => link.getAttribute("aria-current"))).toContain("page");
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByRole("navigation", { name: "Screens" })).toBeNull();
    expect(document.activeElement).toBe(button);
    await userEvent.click(button);
    await userEvent.click(screen.getByRole("link", { name: "Home" }));
    await screen.findByRole("button", { name: /^Menu: ?Home$/ });
    expect(screen.queryByRole("navigation", { name: "Screens" })).toBeNull();
  });

  test("signing out is in the menu", async () => {
    const { sent } = renderAt("/", { "POST /auth/logout": new Response(null, { status: 204 }) });
    await userEvent.click(await screen.findByRole("button", { name: /^Menu: ?Home$/ }));
    await userEvent.click(screen.getByRole("button", { name: "Sign out" }));
    await waitFor(() =>
      expect(sent.map((one) => new URL(one.url).pathname)).toEqual(["/api/v1/auth/logout"]),
    );
  });
});

test("where there is room the screens stand beside each other", async () => {
  renderAt("/", {});
  const links = within(await screen.findByRole("navigation", { name: "Screens" })).getAllByRole("link");
  expect(links).toHaveLength(6);
  expect(screen.queryByRole("button", { name: /^Menu/ })).toBeNull();
});

test("the palette finds what can be started, and leads to its filled dialog", async () => {
  const definition = {
    name: "repo-audit",
    version: "1",
    kind: "workflow",
    form: "python",
    about: "",
    input_schema: null,
    input_fields: null,
    secret_fields: [],
    phases: null,
  };
  renderAt("/", {
    "/workflows": { trusted: true, items: [definition] },
    "/agents": { trusted: true, items: [] },
  });
  await screen.findByText("Live");
  await userEvent.keyboard("{Control>}k{/Control}");
  await userEvent.type(await screen.findByRole("combobox", { name: "Command or run" }), "start repo");
  await userEvent.click(await screen.findByRole("option", { name: /Start repo-audit/ }));
  expect(await screen.findByRole("dialog", { name: "Start repo-audit" })).toBeTruthy();
});

test("how many runs need a person is said to who can't see the title", async () => {
  renderAt("/threads", {
    "/threads": { items: [], next_cursor: null, as_of: "e-1" },
    "/runs/counts": {
      counts: { needs_input: 2, working: 0, completed: 0, failed: 0, stopped: 0 },
      as_of: "e-1",
    },
  });
  const said = await screen.findByText("2 runs need a person");
  expect(said.getAttribute("aria-live")).toBe("polite");
  expect(document.title).toBe("(2) Runstone");
});
