// Opens a profile's page in headless Chromium, offline: it renders, zooms, searches, and takes what a link asks for.
//
//   node report.mjs report.html CHROMIUM [screenshot.png]
//
// Needs `playwright-core`, found through NODE_PATH or beside the script.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const require = createRequire(resolve(process.cwd(), "x.js"));
const { chromium } = require("playwright-core");
const [page_file, executablePath, picture] = process.argv.slice(2);
const failures = [];
const check = (what, ok, seen) => {
  console.log(`${ok ? "ok" : "FAILED"}: ${what}${ok ? "" : ` (${JSON.stringify(seen)})`}`);
  if (!ok) failures.push(what);
};

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 1600 }, offline: true });
const page = await context.newPage();
const errors = [], requests = [];
page.on("pageerror", (e) => errors.push(String(e)));
page.on("request", (r) => requests.push(r.url()));
const url = pathToFileURL(resolve(page_file)).href;
await page.goto(url);

const view = () => page.$eval("#timeline", (c) => ({ from: Number(c.dataset.from), to: Number(c.dataset.to), rows: Number(c.dataset.drawn) }));
// Colours on the canvas: a timeline that is drawn has many.
const colours = () => page.$eval("#timeline", (c) => {
  const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return seen.size;
});

const whole = await view();
check("no script errors", errors.length === 0, errors);
check("nothing is loaded but the page", requests.every((r) => r === url), requests);
check("rows are drawn", whole.rows >= 4 && whole.from === 0 && whole.to > 0, whole);
check("the canvas is painted", (await colours()) > 8, await colours());
check("there are figures and tables", (await page.$$("svg")).length > 0 && (await page.$$("table")).length > 0, null);
if (picture) await page.screenshot({ path: picture });

// The wheel zooms about the pointer; a double click shows everything again.
const box = await (await page.$("#timeline")).boundingBox();
await page.mouse.move(box.x + box.width / 2, box.y + 30);
for (let i = 0; i < 8; i++) await page.mouse.wheel(0, -100);
await page.waitForFunction((to) => Number(document.getElementById("timeline").dataset.to) < to, whole.to);
const near = await view();
check("the wheel zooms in", near.to - near.from < 0.3 * (whole.to - whole.from), near);
await page.mouse.dblclick(box.x + box.width / 2, box.y + 30);
const again = await view();
check("a double click zooms out", again.from === 0 && again.to === whole.to, again);

// Search counts, and Enter goes to a hit.
await page.fill("#search", "matmul");
const count = Number(await page.$eval("#found", (f) => f.dataset.count));
check("search finds the products", count > 0, count);
await page.press("#search", "Enter");
const hit = await view();
check("Enter zooms to a hit", hit.to - hit.from < whole.to - whole.from, hit);
await page.fill("#search", "no such thing");
check("search finds nothing where there is nothing", (await page.$eval("#found", (f) => f.dataset.count)) === "0", null);

// Pointing at something tells what it is.
await page.fill("#search", "");
await page.dblclick("#timeline", { position: { x: box.width / 2, y: 30 } });
let tip = "";
for (let x = 160; x < box.width && !tip.includes("instruction"); x += 7) {
  await page.mouse.move(box.x + x, box.y + 20 + 9);
  tip = await page.$eval("#tip", (t) => t.textContent);
}
check("a bar tells its instruction", tip.includes("instruction"), tip);

// A link opens a part, searched.
const linked = await context.newPage();
await linked.goto(`${url}#zoom=0.25,0.5&search=matmul`);
const part = await linked.$eval("#timeline", (c) => [Number(c.dataset.from), Number(c.dataset.to)]);
check("a link opens its part", Math.abs(part[0] / whole.to - 0.25) < 0.01 && Math.abs(part[1] / whole.to - 0.5) < 0.01, part);
check("and its search", Number(await linked.$eval("#found", (f) => f.dataset.count)) === count, null);

// A profile of half a million intervals: its own, over and over, in the same time. What is drawn must not grow with them; how long it takes is told.
const text = readFileSync(page_file, "utf8");
const start = text.indexOf(">", text.indexOf('id="data"')) + 1, stop = text.indexOf("</script>", start);
const data = JSON.parse(text.slice(start, stop));
const times = Math.ceil(500000 / data.spans.length);
data.spans = data.spans.flatMap((s) => Array.from({ length: times }, (_, i) => [s[0], s[1], s[2] + (s[3] * i) / times, s[3] / times, ...s.slice(4)]));
for (const s of data.spans) s[2] = Math.min(s[2], data.end);
data.spans.sort((a, b) => a[2] - b[2]);
const large_file = join(mkdtempSync(join(tmpdir(), "report-")), "large.html");
writeFileSync(large_file, text.slice(0, start) + JSON.stringify(data).replaceAll("</", "<\\/") + text.slice(stop));
const large = await context.newPage();
await large.goto(pathToFileURL(large_file).href);
const spent = await large.evaluate(() => {
  const canvas = document.getElementById("timeline"), out = { bars: {}, ms: {} };
  const step = (what, run) => {
    const begun = performance.now();
    run();
    out.ms[what] = Math.round(performance.now() - begun);
    out.bars[what] = Number(canvas.dataset.bars);
  };
  step("all", () => window.ferrite.zoom(0, Infinity));
  step("part", () => window.ferrite.zoom(0, Number(canvas.dataset.to) / 1000));
  step("search", () => window.ferrite.search("matmul"));
  step("found", () => window.ferrite.zoom(0, Infinity));
  out.ms.load = Math.round(performance.getEntriesByType("navigation")[0].domComplete);
  out.most = Number(canvas.dataset.drawn) * canvas.clientWidth * 2;
  return out;
});
rmSync(dirname(large_file), { recursive: true });
console.log(`${data.spans.length} intervals, ${(JSON.stringify(data).length / 1e6).toFixed(0)} MB: milliseconds ${JSON.stringify(spent.ms)}, bars ${JSON.stringify(spent.bars)}`);
check("a large profile draws as many bars as there are pixels, not intervals", Object.values(spent.bars).every((n) => n > 0 && n <= 2 * spent.most), spent);

await browser.close();
process.exit(failures.length ? 1 : 0);
