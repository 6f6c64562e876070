// The dashboard in a real browser: of a server, and of data that no server has at will.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TimelineEvent } from '../../src/admin/live.ts';
import { type Dashboard, loopOf, openDashboard, statusOf, workerOf } from '../helpers/dashboard.ts';
import { eventually } from '../helpers/eventually.ts';
import { startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';
import { axeFindings, chromiumPath, launchBrowser, openPage } from './browser.ts';

const token = '0123456789abcdef0123456789abcdef';
const hostile = '<img src=x onerror=alert(1)>\u202e\u001b[31m</script>';

let browser: Browser;
let folder: string;
let tokenFile: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-dashboard-'));
  tokenFile = path.join(folder, 'token');
  writeFileSync(tokenFile, token, { mode: 0o600 });
  if (chromiumPath) browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

async function signIn(page: Page): Promise<void> {
  await page.fill('#token', token);
  await page.press('#token', 'Enter');
  await page.waitForSelector('#content:not([hidden])');
}

const stateOf = (page: Page, text: string) =>
  page.waitForFunction((one) => document.querySelector('#state')?.textContent === one, text);

/** Every state of a loop, and texts that a page must not believe. */
function showAll({ shown, history }: Dashboard): void {
  const request = { reqId: 'r1', method: 'GET', url: `/a?${hostile}`, ageMs: 61_000, client: '203.0.113.9' };
  shown.status = statusOf({
    state: 'degraded',
    app: hostile,
    workers: { wanted: 4, ready: 3 },
    lastError: { at: new Date().toISOString(), message: hostile },
  });
  shown.workers = [
    workerOf(1, [
      loopOf('blocked', { tid: 1, staleMs: 4200, inFlight: 1, oldest: [request] }),
      loopOf('working', { tid: 2, utilization: 0.93, inFlight: 2, oldest: [{ ...request, ageMs: 30, url: '/quick' }] }),
      loopOf('writing', { tid: 3, utilization: 0.5 }),
      loopOf('reading', { tid: 4, utilization: 0.2 }),
    ]),
    workerOf(2, [loopOf('keep-alive', { utilization: 0.05 })], { memoryBytes: 90_000_000 }),
    workerOf(3, [loopOf('draining', { utilization: 0.3 })], { stage: 'draining' }),
    workerOf(4, [], { stage: 'starting', requests: 0 }),
    workerOf(5, [loopOf('idle', { utilization: 0 })]),
  ];
  history.add({ at: Date.now() - 60_000, kind: 'reload', text: 'reload begins' });
  history.add({ at: Date.now() - 30_000, kind: 'crash', text: hostile });
  history.log.add(JSON.stringify({ level: 50, time: Date.now(), msg: hostile, url: hostile }));
}

describe.skipIf(!chromiumPath).concurrent('the dashboard', () => {
  test('shows what the server does, as it happens, and asks nothing of other hosts', async () => {
    await using server = await startServer({
      args: ['--admin', '0', '--workers', '2', '--control', path.join(folder, 'c')],
    });
    const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
    await using open = await openPage(browser, String(url));
    const { page, requested } = open;
    await page.waitForSelector('#top[data-state=serving]');
    expect(await page.title()).toContain('Serving');
    await page.waitForFunction(() => document.querySelectorAll('.worker').length === 2);
    expect(await page.isVisible('#read-only')).toBe(true);
    expect(await page.isVisible('#controls')).toBe(false);
    using wire = await connect(server.url);
    await wire.ask('GET /?one');
    await page.waitForFunction(() => document.querySelector('#figures dd')?.textContent?.trim() !== '0');
    await page.waitForFunction(() => document.querySelector('#facts')?.textContent?.includes('Answered1'));
    process.kill(server.workers()[0] as number, 'SIGKILL');
    await page.waitForSelector('#events .chip[data-fault=true]');
    await page.waitForFunction(() => document.querySelector('#log')?.textContent?.includes('died'));
    expect(requested.filter((one) => !one.startsWith(`${url}/`))).toEqual(
      ['data:,'].filter((one) => requested.includes(one)),
    );
  });

  test('reloads, scales and switches with a token, by keyboard alone', async () => {
    const args = ['--admin', '0', '--admin-token-file', tokenFile, '--workers', '1', '--probation', '0'];
    await using server = await startServer({ args });
    const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
    await using open = await openPage(browser, String(url));
    const { page } = open;
    const press = async (...keys: string[]) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    const tabTo = async (id: string) => {
      for (let i = 0; i < 40; i++) {
        if (await page.evaluate((wanted) => document.activeElement?.id === wanted, id)) return;
        await press('Tab');
      }
      throw new Error(`Tab does not reach ${id}`);
    };
    const done = (text: string) =>
      page.waitForFunction((one) => document.querySelector('#progress [data-ok]')?.textContent?.includes(one), text);
    // The form has the focus.
    await page.waitForSelector('#token-form:not([hidden])');
    expect(await page.textContent('#state')).toBe('Locked');
    await page.keyboard.type('wrong-wrong-wrong');
    await press('Enter');
    await page.waitForFunction(() => document.querySelector('#token-problem')?.textContent === 'wrong token');
    await page.keyboard.type(token);
    await press('Enter');
    await page.waitForSelector('#controls:not([hidden])');

    await tabTo('reload');
    expect(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).toBe('solid');
    await press('Enter');
    await done('Done: generation 2 is serving');
    await page.waitForSelector('#reload[aria-disabled=false]');
    await page.waitForFunction(() => document.querySelector('#events')?.textContent?.includes('generation 2'));

    await tabTo('more');
    await press('Enter');
    await done('Done: changed from 1 to 2 workers');
    await page.waitForFunction(() => document.querySelectorAll('.worker').length === 2);

    await page.waitForSelector('#switch[aria-disabled=false]');
    await tabTo('switch');
    await press('Enter');
    await page.waitForSelector('dialog[open]');
    expect(await page.textContent('#switch-now')).toBe('Now: prefork, 2 of 2 workers ready.');
    await press('Escape');
    await page.waitForSelector('dialog:not([open])', { state: 'attached' });
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('switch');
    await press('Enter');
    await tabTo('switch-model');
    await page.keyboard.type('prethread');
    await tabTo('switch-threads');
    await page.keyboard.type('3');
    await press('Enter');
    await done('Done: prethread is serving with 1 worker(s) and 3 thread(s)');
    await page.waitForFunction(() => document.querySelector('#facts')?.textContent?.includes('prethread'));
    await page.waitForFunction(() => document.querySelectorAll('.leaf').length === 3);
    expect(server.lines.filter(({ reason }) => String(reason).startsWith('dashboard '))).toHaveLength(3);

    // Tab leads out of everything, and back to the beginning.
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      await press('Tab');
      seen.add(await page.evaluate(() => document.activeElement?.id ?? ''));
    }
    expect([...seen]).toEqual(expect.arrayContaining(['curves', 'events', 'reload', 'switch', 'log']));
  });

  test('the dialog of a switch has the numbers of now, and asks for what has been filled in', async () => {
    await using dashboard = await openDashboard({ token });
    dashboard.shown.status = statusOf({ model: 'hybrid', workers: { wanted: 3, ready: 2 }, threads: 4 });
    await using open = await openPage(browser, dashboard.url);
    const { page } = open;
    await signIn(page);
    const number = (name: string) => page.inputValue(`#switch-${name}`);
    const confirm = async () => {
      const before = dashboard.asked.length;
      await page.click('#switch-confirm');
      await eventually('the request', () => dashboard.asked.length > before);
      await page.waitForSelector('#switch[aria-disabled=false]');
      return dashboard.asked.at(-1)?.request;
    };
    await page.click('#switch');
    expect(await page.textContent('#switch-now')).toBe('Now: hybrid, 2 of 3 workers ready, 4 threads each.');
    expect([await number('workers'), await number('threads')]).toEqual(['3', '4']);
    // A number may not be left out: which one would be meant?
    await page.fill('#switch-threads', '');
    await page.click('#switch-confirm');
    expect(await page.isVisible('dialog')).toBe(true);
    await page.fill('#switch-threads', '8');
    expect(await confirm()).toMatchObject({ options: { workers: '3', threads: '8' } });

    await page.click('#switch');
    await page.selectOption('#switch-model', 'prefork');
    expect(await page.isVisible('#switch-threads')).toBe(false);
    expect(await number('workers')).toBe(''); // those of hybrid mean nothing there
    expect(await page.textContent('#switch-summary')).toBe('prefork: a pool of processes');
    expect(await confirm()).toMatchObject({ options: { model: 'prefork' } });
    expect(await page.textContent('#switch-confirm')).toBe('Switch to prefork');

    await page.click('#switch');
    await page.selectOption('#switch-model', 'ppc');
    expect(await page.isVisible('#switch-workers')).toBe(false);
    await page.click('#switch-cancel');
    expect(dashboard.asked).toHaveLength(2);

    // Opened again before the browser has told that it was closed.
    await page.click('#switch');
    await page.evaluate(() => {
      (document.querySelector('dialog') as HTMLDialogElement).close();
      (document.querySelector('#switch') as HTMLElement).click();
    });
    await page.selectOption('#switch-model', 'prefork');
    expect(await confirm()).toMatchObject({ options: { model: 'prefork' } });
    expect(dashboard.asked).toHaveLength(3);
  });

  test('the axis grows with the age of the server, to 15 minutes and not beyond; arrow keys read it', async () => {
    const now = Date.now();
    const event = (seconds: number, kind: TimelineEvent['kind']) => ({ at: now - seconds * 1000, kind, text: kind });
    const points = Array.from({ length: 900 }, (_, i) => {
      return { at: now - 1000 * (899 - i), requests: i, errors: i === 200 ? 1 : 0, p50: 2, p99: 30, connections: 3 };
    });
    const events = [event(1200, 'crash'), event(800, 'exit'), event(450, 'start')];
    await using young = await openDashboard({ before: { points: points.slice(-440), events: events.slice(-1) } });
    await using old = await openDashboard({ before: { points, events } });
    const open = async ({ url }: Dashboard) => {
      const opened = await openPage(browser, url);
      await opened.page.waitForSelector('#content:not([hidden])');
      return opened;
    };
    /** From 0 to 1. */
    const placeOf = (page: Page, letter: string) =>
      page.evaluate((one) => {
        const chips = [...document.querySelectorAll('.lane .chip')];
        const chip = chips.find(({ textContent }) => textContent?.startsWith(one));
        const lane = chip?.parentElement?.getBoundingClientRect();
        const box = chip?.getBoundingClientRect();
        return box && lane && (box.left + box.width / 2 - lane.left - 64) / (lane.width - 64 - 12);
      }, letter);

    await using ofYoung = await open(young);
    expect(await ofYoung.page.textContent('#curves-title')).toMatch(/^Since \d\d:\d\d:\d\d$/);
    expect(await placeOf(ofYoung.page, 'S')).toBeLessThan(0.03);
    expect(await ofYoung.page.textContent('#figures')).toContain('none'); // errors

    await using ofOld = await open(old);
    const { page } = ofOld;
    expect(await page.textContent('#curves-title')).toBe('Last 15 minutes');
    // On a slow machine, time has passed since `now`.
    const placeOfStart = (await placeOf(page, 'S')) ?? 0;
    expect(placeOfStart).toBeGreaterThan(0.3);
    expect(placeOfStart).toBeLessThan(0.55);
    expect(await placeOf(page, 'E')).toBeLessThan(0.15);
    expect(await placeOf(page, 'C')).toBe(undefined);
    expect(await page.textContent('#figures')).toMatch(/requests\/s899 peak 899.*peak 1\.0, last 1\d min \d+ s ago/);
    expect(await page.getAttribute('#figures > :nth-child(4)', 'data-bad')).toBe('no'); // long ago
    await page.focus('#curves');
    for (const key of ['ArrowLeft', 'ArrowLeft']) await page.keyboard.press(key);
    old.shown.status = statusOf({ pid: 5300 });
    await old.tick(); // the axis moves, and what is read stays
    await page.waitForFunction(() => document.querySelector('#facts')?.textContent?.includes('5300'));
    expect(await page.textContent('#readout')).toMatch(
      /^\d\d:\d\d:\d\d: 898 requests\/s, p50 2.0 ms, p99 30 ms, 0 errors\/s, 3 connections$/,
    );
    await page.keyboard.press('Escape');
    expect(await page.textContent('#readout')).toBe('');
  });

  test('says that it has lost the server, and goes on when that is back', async () => {
    const first = await openDashboard();
    await using open = await openPage(browser, first.url);
    const { page } = open;
    await page.waitForSelector('#content:not([hidden])');
    await first.close();
    await page.waitForSelector('#banner:not([hidden])');
    expect(await page.textContent('#state')).toMatch(/^No connection, was serving at \d\d:/);
    expect(await page.title()).toBe('? No connection – server.js');
    expect(await axeFindings(page)).toEqual([]);
    await page.waitForFunction(() =>
      /\d s ago\. Trying again/.test(document.querySelector('#banner')?.textContent ?? ''),
    );
    await using second = await openDashboard({ port: Number(new URL(first.url).port) });
    second.shown.status = statusOf({ pid: 5200, state: 'degraded', workers: { wanted: 4, ready: 3 } });
    await page.waitForSelector('#banner[hidden]', { state: 'attached' });
    await page.waitForFunction(() => document.querySelector('#facts')?.textContent?.includes('5200'));
    await stateOf(page, 'Degraded, 3 of 4 workers ready');
    expect(await page.title()).toContain('Degraded');
  });

  test('a server that says nothing is lost as well', { tags: 'long' }, async () => {
    await using dashboard = await openDashboard({ isSilent: true });
    await using open = await openPage(browser, dashboard.url);
    await open.page.waitForSelector('#content:not([hidden])');
    // It is back for a moment at each attempt.
    await open.page.waitForFunction(() =>
      document.querySelector('#banner:not([hidden])')?.textContent?.includes('the server does not answer'),
    );
  });

  test('follows an upgrade to the successor', { tags: 'long' }, async () => {
    const control = path.join(folder, 'u');
    const args = ['--admin', '0', '--workers', '1', '--probation', '0', '--control', control];
    const server = await startServer({ args });
    let pid = 0;
    try {
      const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
      await using open = await openPage(browser, String(url));
      await open.page.waitForSelector('#top[data-state=serving]');
      server.child.kill('SIGUSR2');
      pid = Number((await server.waitFor('the upgrade', ({ event }) => event === 'upgraded')).pid);
      await open.page.waitForFunction((one) => document.querySelector('#facts')?.textContent?.includes(`${one}`), pid);
      await open.page.waitForSelector('#banner[hidden]', { state: 'attached' });
      process.kill(pid, 'SIGTERM');
      await server.noneLeft();
    } finally {
      await server.kill();
    }
  });

  test('shows every state in words, the blocked loop apart, and texts of others as text', async () => {
    await using dashboard = await openDashboard();
    showAll(dashboard);
    await using open = await openPage(browser, dashboard.url);
    const { page } = open;
    await page.waitForSelector('#content:not([hidden])');
    expect(await page.$$eval('.leaf .word', (all) => all.map(({ textContent }) => textContent))).toEqual([
      'blocked',
      'working',
      'writing',
      'reading',
      'keep-alive',
      'draining',
      'starting',
      'idle',
    ]);
    expect(await page.textContent('.leaf[data-state=blocked] .figure')).toBe('4.2 s');
    await stateOf(page, 'Degraded, 3 of 4 workers ready');
    expect(await page.$$eval('#flight td.age', (all) => all.map(({ textContent }) => textContent))).toEqual([
      '1 min 5 s',
      '30 ms',
    ]);
    expect(await page.textContent('#flight td.request')).toContain('<img src=x onerror=alert(1)>\\u202e\\u001b[31m');
    expect(await page.$$('#content img, #content script')).toEqual([]);
    const text = (await page.textContent('body')) ?? '';
    expect(text).not.toMatch(/[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
    expect(text.split('<img src=x').length - 1).toBeGreaterThanOrEqual(5); // app, error, event, log, request
  });

  describe.each([
    ['light', { width: 1440, height: 1000 }, ['long']],
    ['dark', { width: 390, height: 844 }, []],
  ] as const)('in %s, %o', (colorScheme, viewport, tags) => {
    test('axe-core finds nothing, and nothing is wider than the window', { tags: [...tags] }, async () => {
      await using dashboard = await openDashboard({ token });
      showAll(dashboard);
      await using open = await openPage(browser, dashboard.url, { colorScheme, viewport, reducedMotion: 'reduce' });
      const { page } = open;
      await page.waitForSelector('#token-form:not([hidden])');
      expect(await page.isVisible('#content')).toBe(false);
      expect(await axeFindings(page)).toEqual([]);
      await signIn(page);
      expect(await axeFindings(page)).toEqual([]);
      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth] as const);
      expect(widths[0]).toBeLessThanOrEqual(widths[1]);
      expect(
        await page.evaluate(
          () => getComputedStyle(document.querySelector('.leaf .fill') as Element).transitionDuration,
        ),
      ).toBe('0s');
      const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      expect(back).toBe(colorScheme === 'dark' ? 'rgb(13, 17, 22)' : 'rgb(243, 245, 248)');
      await page.click('#switch');
      expect(await axeFindings(page)).toEqual([]);
      await page.keyboard.press('Escape');
      dashboard.shown.status = statusOf({ state: 'down', workers: { wanted: 2, ready: 0 } });
      await dashboard.tick();
      await page.waitForSelector('#top[data-state=down]');
      expect(await axeFindings(page)).toEqual([]);
    });
  });
});
