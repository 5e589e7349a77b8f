/** The packed package works in an app that knows nothing of this repository. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { render, screen, waitFor, within } from "@testing-library/react";
import type { ComponentType } from "react";
import { build } from "vite";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { events, records, runs, THREAD } from "./records/thread.ts";

const WEB = `${dirname(import.meta.dirname)}/`;
const SAMPLE = `${WEB}dist/sample`;

const npm = (cwd: string, ...words: string[]): string =>
  execFileSync("npm", words, { cwd, encoding: "utf8" });
let packed: { filename: string; files: { path: string }[] };
let Chat: ComponentType<{ threadId: string }>;

beforeAll(async () => {
  npm(WEB, "run", "--silent", "build:runtime");
  rmSync(SAMPLE, { recursive: true, force: true });
  mkdirSync(SAMPLE, { recursive: true });
  cpSync(`${WEB}tests/sample`, SAMPLE, { recursive: true });
  packed = JSON.parse(npm(`${WEB}src/runtime`, "pack", "--json", `--pack-destination=${SAMPLE}`))[0];
  // Its peers are those above the sample; nothing is fetched.
  npm(
    SAMPLE,
    "install",
    "--offline",
    "--legacy-peer-deps",
    "--no-audit",
    "--no-fund",
    `./${packed.filename}`,
  );
  await build({
    root: SAMPLE,
    configFile: false,
    logLevel: "error",
    build: {
      outDir: `${SAMPLE}/built`,
      lib: { entry: `${SAMPLE}/Chat.tsx`, formats: ["es"], fileName: "chat" },
      rolldownOptions: { external: [/^react($|\/)/, /^react-redux($|\/)/, /^@reduxjs\/toolkit($|\/)/] },
    },
  });
  ({ Chat } = await import(/* @vite-ignore */ `${SAMPLE}/built/chat.js`));
}, 120_000);

afterAll(() => vi.unstubAllGlobals());

test("the package has its code, its types and its page, no tests, and asks for its peers only", () => {
  const names = packed.files.map(({ path }) => path);
  expect(names).toEqual(expect.arrayContaining(["README.md", "dist/index.js", "dist/types/index.d.ts"]));
  expect(names.filter((name) => name.includes(".test."))).toEqual([]);
  const installed = JSON.parse(readFileSync(`${SAMPLE}/node_modules/@runstone/react/package.json`, "utf8"));
  expect(Object.keys(installed.peerDependencies).sort()).toEqual([
    "@reduxjs/toolkit",
    "react",
    "react-redux",
  ]);
  expect(installed.dependencies).toBeUndefined();
  const imported = [
    ...readFileSync(`${SAMPLE}/node_modules/@runstone/react/dist/index.js`, "utf8").matchAll(
      /from\s*"([^"]+)"/g,
    ),
  ].map(([, name]) => (name ?? "").replace(/^((?:@[^/]+\/)?[^/]+).*$/, "$1"));
  expect(new Set(imported)).toEqual(new Set(["@reduxjs/toolkit", "react", "react-redux"]));
});

test("its types fit the app that uses them, and the example of its page", () => {
  const config = {
    compilerOptions: {
      target: "ES2023",
      lib: ["ES2023", "DOM", "DOM.Iterable"],
      module: "ESNext",
      moduleResolution: "bundler",
      jsx: "react-jsx",
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
    },
    files: ["Chat.tsx", "Readme.tsx"],
  };
  const example = /```tsx\n(.*?)```/s.exec(readFileSync(`${WEB}src/runtime/README.md`, "utf8"))?.[1] ?? "";
  expect(example).toContain("RunstoneProvider");
  writeFileSync(`${SAMPLE}/Readme.tsx`, example);
  writeFileSync(`${SAMPLE}/tsconfig.json`, JSON.stringify(config));
  expect(() =>
    execFileSync(`${WEB}node_modules/.bin/tsc`, ["-p", SAMPLE], { encoding: "utf8" }),
  ).not.toThrow();
}, 60_000);

test("the app shows the thread as the ledger has it: order, calls, nesting, prose, and what can be resumed", async () => {
  vi.stubGlobal("EventSource", SilentStream);
  vi.stubGlobal("fetch", async (input: Request | string) =>
    answer(typeof input === "string" ? input : input.url),
  );
  render(<Chat threadId={THREAD} />);
  const timeline = await screen.findByRole("list", { name: "Timeline" });
  await waitFor(() => expect(within(timeline).getAllByRole("listitem")).toHaveLength(9));
  const lines = within(timeline)
    .getAllByRole("listitem")
    .map((item) => item.firstChild?.textContent);
  expect(lines.slice(0, 3)).toEqual(["search", "Find the branch", "researcher"]);
  expect(screen.getByText("From <b>main</b>.")).toBeTruthy();
  expect(screen.getByText("fetch completed")).toBeTruthy();
  expect(screen.getAllByRole("button").map((button) => button.textContent)).toEqual([
    "Resume gone",
    "Resume broken",
  ]);
});

class SilentStream {
  addEventListener(): void {}
  close(): void {}
}

/** The API's answers, from the records. */
function answer(url: string): Response {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, kind = "", id = "", part = ""] = /^\/api\/v1\/(\w+)(?:\/([^/]+)\/(\w+))?$/.exec(pathname) ?? [];
  const json = (items: unknown[]) =>
    Response.json({ items, next_cursor: null, next_after: null, as_of: "e-1" });
  if (kind === "threads") return json([...(records.messages[id] ?? [])]);
  if (part === "events") return json(events[id] ?? []);
  const root = searchParams.get("root_id");
  const thread = searchParams.get("thread_id");
  return json(
    runs.filter((run) => (root === null ? run.parent_thread_id === thread : run.root_run_id === root)),
  );
}
