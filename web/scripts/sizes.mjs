/** What the app costs to load: the first screen, and each part that is fetched later. Exits with 1 over a bound. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_KB = 190;
const STYLES_KB = 18;
const LAZY_KB = 40;
const FIRST_SCREEN = "screens/home/Home.tsx";

const folder = fileURLToPath(new URL("../dist/app/", import.meta.url));
const manifest = JSON.parse(readFileSync(`${folder}.vite/manifest.json`, "utf8"));

/** The chunk and all that it imports at once. */
function closureOf(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const next of manifest[name].imports ?? []) closureOf(next, found);
  return found;
}

const packed = (file) => gzipSync(readFileSync(folder + file), { level: 9 }).length;
const scriptsOf = (names) => [...names].reduce((sum, name) => sum + packed(manifest[name].file), 0);
const stylesOf = (names) =>
  [...new Set([...names].flatMap((name) => manifest[name].css ?? []))].reduce(
    (sum, file) => sum + packed(file),
    0,
  );

const entry = Object.keys(manifest).find((name) => manifest[name].isEntry);
const always = closureOf(entry);
const first = new Set([...always, ...closureOf(FIRST_SCREEN)]);
const lines = [
  ["first load, scripts", scriptsOf(first), FIRST_LOAD_KB],
  ["first load, styles", stylesOf(first), STYLES_KB],
];
for (const name of Object.keys(manifest).filter((one) => manifest[one].isDynamicEntry)) {
  const own = [...closureOf(name)].filter((one) => !always.has(one));
  lines.push([name, scriptsOf(own), LAZY_KB]);
}
let over = 0;
for (const [name, bytes, bound] of lines) {
  const tooMuch = bytes > bound * 1024;
  over += Number(tooMuch);
  process.stdout.write(
    `${(bytes / 1024).toFixed(1).padStart(7)} KB of ${String(bound).padStart(3)}  ${name}${tooMuch ? "  TOO MUCH" : ""}\n`,
  );
}
process.exit(over === 0 ? 0 : 1);
