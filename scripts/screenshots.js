// Writes docs/img/dashboard-{light,dark,phone}.png: runs a server under some load for a while, and takes pictures of its
// dashboard. Usage: node scripts/screenshots.js [MINUTES]
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const root = path.join(import.meta.dirname, '..');
const minutes = Number(process.argv[2] ?? 5);
const browsers = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = browsers.find((file) => file && existsSync(file));
if (!executablePath) throw new Error('found no Chromium; set CHROMIUM to its path');

const token = '0123456789abcdef0123456789abcdef';
const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-screenshots-'));
const tokenFile = path.join(folder, 'token');
writeFileSync(tokenFile, token, { mode: 0o600 });

const server = spawn(
  process.execPath,
  [
    path.join(root, 'bin/mpserve.js'),
    'scripts/screenshots-app.cjs',
    ...['--model', 'hybrid', '--workers', '3', '--threads', '4', '--bind', '127.0.0.1:0'],
    ...['--admin', '0', '--admin-token-file', tokenFile],
  ],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
);

const urls = await new Promise((resolve, reject) => {
  const found = {};
  server.on('exit', () => reject(new Error('the server has ended')));
  createInterface({ input: server.stdout }).on('line', (line) => {
    const { event, url } = JSON.parse(line);
    if (event === 'ready') found.app = url;
    if (event === 'admin-ready') found.admin = url;
    if (found.app && found.admin) resolve(found);
  });
});

const load = new AbortController();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function ask(url, options = {}, body = '') {
  return new Promise((done) => {
    const one = request(url, { ...options, timeout: 60_000 }, (response) => response.resume().on('close', done));
    one.on('error', done);
    one.end(body);
  });
}

/** One client after the other; the load goes up and down. */
async function client(route, meanMs) {
  while (!load.signal.aborted) {
    const wave = 1 + 0.7 * Math.sin(Date.now() / 70_000);
    await pause((meanMs * 2 * Math.random()) / wave);
    await ask(`${urls.app}${route}`);
  }
}

const act = (action, body) =>
  ask(
    `${urls.admin}/${action}`,
    { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
    JSON.stringify(body),
  );

/** By the part of the time that has passed. */
const happenings = [
  [0.2, () => act('reload', {})],
  [0.4, () => ask(`${urls.app}/block`)],
  [0.5, () => ask(`${urls.app}/crash?id=7731`)],
  [0.7, () => act('scale', { workers: '+1' })],
  [0.85, () => ask(`${urls.app}/block`)],
];
for (const [part, happen] of happenings) setTimeout(happen, part * minutes * 60_000);

const clients = [
  ...Array.from({ length: 24 }, () => client('/', 250)),
  ...Array.from({ length: 10 }, () => client('/search?q=shoes', 160)),
  ...Array.from({ length: 3 }, (_, i) => client(`/report?year=${2023 + i}`, 4000)),
];

/** Each has its page from the start, as the curves of the last minutes are the server's anyway. */
const shots = [
  { name: 'light', width: 1280, height: 940, colorScheme: 'light', isBlocked: true },
  { name: 'dark', width: 1280, height: 860, colorScheme: 'dark' },
  { name: 'phone', width: 390, height: 1200, colorScheme: 'light' },
];

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  await pause(Math.max(0, minutes * 60_000 - 5000));
  for (const { name, width, height, colorScheme, isBlocked } of shots) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme });
    await page.goto(urls.admin);
    await page.fill('#token', token);
    await page.press('#token', 'Enter');
    await page.waitForSelector('#content:not([hidden])');
    await pause(2500); // for the rates between two looks
    if (isBlocked) {
      void ask(`${urls.app}/block?export=all`);
      await page.waitForSelector('.leaf[data-state=blocked]');
    }
    await page.screenshot({ path: path.join(root, `docs/img/dashboard-${name}.png`) });
    await page.close();
  }
} finally {
  load.abort();
  await browser.close();
  server.removeAllListeners('exit');
  server.kill('SIGQUIT');
  await Promise.all(clients);
  rmSync(folder, { recursive: true });
}
