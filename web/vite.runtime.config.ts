import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The package `@runstone/react`: one file, with its peers left to who embeds it. */
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: here("./src/runtime/dist"),
    emptyOutDir: true,
    target: "es2022",
    minify: false,
    lib: { entry: here("./src/runtime/index.ts"), formats: ["es"], fileName: "index" },
    rolldownOptions: { external: [/^react($|\/)/, /^react-redux($|\/)/, /^@reduxjs\/toolkit($|\/)/] },
  },
});
