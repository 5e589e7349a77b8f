/** Compresses each file of the built app beside itself, for the server to send as it is. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = fileURLToPath(new URL("../dist/app/", import.meta.url));
/** Below that, the head of an answer is most of it. */
const LEAST_BYTES = 600;

for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const path = `${file.parentPath}/${file.name}`;
  if (!file.isFile() || /\.(br|gz)$/.test(path) || path.includes("/.vite/")) continue;
  const body = readFileSync(path);
  if (body.length < LEAST_BYTES) continue;
  writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
  writeFileSync(`${path}.br`, brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
}
