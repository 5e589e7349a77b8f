import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The command center. `npm run dev` passes the API on to a server at RUNSTONE_URL. */
export default defineConfig({
  root: here("./src/app"),
  plugins: [react()],
  resolve: { alias: { "@runstone/react": here("./src/runtime/index.ts") } },
  build: {
    outDir: here("./dist/app"),
    emptyOutDir: true,
    target: "es2022",
    manifest: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": process.env.RUNSTONE_URL ?? "http://127.0.0.1:8484" } },
  test: {
    root: here("."),
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}", "tests/**/*.test.{ts,tsx}"],
    setupFiles: [here("./tests/setup.ts")],
    restoreMocks: true,
    testTimeout: 30_000,
    css: { modules: { classNameStrategy: "non-scoped" } },
    maxWorkers: 2,
  },
});
