/** Opens the demo's screens, and takes a picture of each: `screenshots.mjs LINK FOLDER`. See scripts/screenshots.py. */
import { chromium } from "playwright-core";

const [link, folder] = process.argv.slice(2);
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** What is looked at: its name, its path, and what must be there before the picture is taken. */
const SCREENS = [
  ["home", "/", "text=Needs input"],
  ["runs", "/runs?bucket=completed&bucket=stopped", "role=grid"],
  ["timeline", "/runs/demo-check-1?tab=timeline", "role=treegrid"],
  ["phases", "/runs/demo-upgrade-1?phase=upgrade", "role=grid"],
  ["usage", "/usage?range=24h", "role=table"],
];
/** In both themes, at the width of a desk and of a phone: as many as the pages show. */
const only = (...names) => SCREENS.filter(([name]) => names.includes(name));
const WAYS = [
  { theme: "light", width: 1440, height: 860, of: SCREENS },
  { theme: "dark", width: 1440, height: 860, of: only("timeline") },
  { theme: "light", width: 360, height: 740, of: only("timeline") },
  { theme: "dark", width: 360, height: 740, of: only("home") },
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: FLAGS,
});
const first = await browser.newContext();
await (await first.newPage()).goto(link);
const cookies = await first.cookies();
for (const { theme, width, height, of } of WAYS) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme });
  await context.addCookies(cookies);
  const page = await context.newPage();
  for (const [name, path, there] of of) {
    await page.goto(new URL(path, link).href);
    await page.locator(there).first().waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png`, animations: "disabled" });
  }
  await context.close();
}
await browser.close();
