// Looks at a page of `mpserve bench` in a real browser: `node scripts/check-page.js PAGE.html OUTDIR`. It must draw
// every chart, in light and dark, ask for nothing, complain of nothing and fit a phone. Leaves screenshots in OUTDIR.
// Needs Chromium (CHROMIUM=/its/path) and playwright-core, from the working directory, NODE_PATH or PLAYWRIGHT_CORE
// (the folder of the package). Neither is a dependency: only who changes the page wants them.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [file, outDir] = process.argv.slice(2);
if (!file || !outDir) stop('usage: node scripts/check-page.js PAGE.html OUTDIR');
if (!existsSync(file)) stop(`there is no ${file}`);

const chromium = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((candidate) => candidate && existsSync(candidate));
if (!chromium) stop('there is no Chromium: install it, or say where it is with CHROMIUM=/path/to/chromium');

const { chromium: browserType } = loadPlaywright();
const profile = mkdtempSync(path.join(os.tmpdir(), 'check-page-'));
mkdirSync(outDir, { recursive: true });
const context = await browserType.launchPersistentContext(profile, {
  executablePath: chromium,
  headless: true,
  viewport: { width: 1280, height: 900 },
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
try {
  const page = await context.newPage();
  const url = pathToFileURL(path.resolve(file)).href;
  const complaints = [];
  const requests = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) requests.push(request.url());
  });
  const shot = (name, fullPage = true) => page.screenshot({ path: path.join(outDir, `${name}.png`), fullPage });

  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto(url);
  await checkCharts(page);
  await shot('light');

  await checkKeyboard(page);
  await shot('tip', false);
  await checkLegend(page);

  const light = await inkOf(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  await settled(page);
  await checkCharts(page);
  const dark = await inkOf(page);
  assert.ok(light.length === 0 || light.join() !== dark.join(), 'charts look in the dark as they do in the light');
  await shot('dark');

  const devTools = await context.newCDPSession(page);
  for (const type of ['deuteranopia', 'protanopia', 'tritanopia', 'achromatopsia']) {
    await page.emulateMedia({ colorScheme: 'light' });
    await devTools.send('Emulation.setEmulatedVisionDeficiency', { type });
    await settled(page);
    await shot(type);
  }
  await devTools.send('Emulation.setEmulatedVisionDeficiency', { type: 'none' });

  for (const width of [380, 320]) {
    await page.setViewportSize({ width, height: 800 });
    await settled(page);
    await checkCharts(page);
    await checkFirstColumns(page);
    const needed = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(needed <= width, `at ${width} px the page is ${needed} px wide and scrolls sideways`);
    await shot(`phone-${width}`);
  }
  await checkContrast(page);

  assert.deepEqual(complaints, [], 'the browser complains');
  assert.deepEqual(requests, [], 'the page asks for other files');
  console.log(`The page is sound. Screenshots are in ${outDir}.`);
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

/** The verdict is on the first screen. A table that is scrolled sideways keeps its first column, and room for another. */
async function checkFirstColumns(page) {
  const faults = await page.evaluate(() => {
    const { top } = document.querySelector('#short').getBoundingClientRect();
    const boxes = [...document.querySelectorAll('.scrolling')].flatMap((box) => {
      box.scrollLeft = 100;
      const { left, width } = box.getBoundingClientRect();
      const cells = [...box.querySelectorAll('th[scope="row"], thead th:first-child')].map((cell) =>
        cell.getBoundingClientRect(),
      );
      box.scrollLeft = 0;
      const stays = cells.every((cell) => Math.abs(cell.left - left) < 1 && cell.width < 0.6 * width);
      return stays ? [] : box.getAttribute('aria-label');
    });
    return [...(top < innerHeight / 2 ? [] : ['verdict']), ...boxes];
  });
  assert.deepEqual(faults, []);
}

/** Every chart has a canvas that fits it, with something drawn on it. */
async function checkCharts(page) {
  await settled(page);
  const faults = await page.evaluate(() =>
    [...document.querySelectorAll('.chart')].flatMap((box) => {
      const name = box.getAttribute('aria-label');
      const canvas = box.querySelector('canvas');
      if (!canvas) return `${name}: not drawn`;
      if (canvas.clientWidth > box.clientWidth) return `${name}: wider than its box`;
      // Of a copy: a canvas that is read again and again draws a warning.
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 255) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      }
      return colours.size < 3 ? `${name}: blank` : [];
    }),
  );
  assert.deepEqual(faults, []);
}

/** The first chart can be read with the arrow keys. */
async function checkKeyboard(page) {
  const chart = page.locator('.chart').first();
  if ((await chart.count()) === 0) return;
  await chart.focus();
  await page.keyboard.press('ArrowLeft');
  const last = await chart.locator('.tip').innerText();
  await page.keyboard.press('ArrowLeft');
  assert.notEqual(await chart.locator('.tip').innerText(), last);
}

/** Who is unticked disappears, and comes back. */
async function checkLegend(page) {
  const box = page.locator('.legend input').first();
  if ((await page.locator('.chart').count()) === 0) return;
  const before = await inkOf(page);
  await box.uncheck();
  await settled(page);
  assert.notDeepEqual(await inkOf(page), before, 'a line cannot be hidden');
  await box.check();
  await settled(page);
  assert.deepEqual(await inkOf(page), before, 'a hidden line does not come back');
}

/** The text of every element against the nearest background: 4.5:1 (WCAG 2.2, 1.4.3), in light and dark. */
async function checkContrast(page) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await settled(page);
    const faint = await page.evaluate(() => {
      const parse = (text) => text.match(/[\d.]+/g).map(Number);
      const luminance = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) =>
          c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
        );
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
      };
      const backOf = (element) => {
        const [r, g, b, a = 1] = parse(getComputedStyle(element).backgroundColor);
        return a > 0 || !element.parentElement ? [r, g, b] : backOf(element.parentElement);
      };
      const withText = [...document.body.querySelectorAll('*')].filter(
        (one) => one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()),
      );
      return withText.flatMap((one) => {
        const [a, b] = [parse(getComputedStyle(one).color), backOf(one)].map(luminance);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return ratio < 4.5 ? `${one.tagName} "${one.textContent.slice(0, 40)}": ${ratio.toFixed(2)}` : [];
      });
    });
    assert.deepEqual(faint, [], `text that is hard to read in ${colorScheme}`);
  }
}

/** What is drawn, in short. */
function inkOf(page) {
  return page.evaluate(() => [...document.querySelectorAll('.chart canvas')].map((canvas) => canvas.toDataURL()));
}

/** uPlot draws in a microtask, resizing comes with a frame: after two frames all is there. */
async function settled(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

function loadPlaywright() {
  const named = process.env.PLAYWRIGHT_CORE;
  const require = createRequire(path.join(process.cwd(), 'package.json')); // it looks into NODE_PATH too
  try {
    return require(named ? path.resolve(named) : 'playwright-core');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return stop('there is no playwright-core: install it somewhere, and say where with PLAYWRIGHT_CORE=/its/folder');
  }
}

function stop(message) {
  console.error(message);
  process.exit(2);
}
