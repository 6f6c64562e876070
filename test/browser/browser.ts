// A real browser for tests of pages: Chromium, if this computer has it. What a page violates of its Content-Security-Policy, and
// what it throws, fails the test.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { patience } from '../helpers/eventually.ts';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** undefined where there is none: CHROMIUM can name it. */
export const chromiumPath = places.find((file) => file !== undefined && existsSync(file));
if (!chromiumPath)
  console.warn('skipped the tests of the dashboard in a browser: found no Chromium; set CHROMIUM to its path');

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    timeout: patience,
    ...(chromiumPath && { executablePath: chromiumPath }),
    args: ['--no-sandbox'],
  });
}

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** Addresses of everything that the page has asked for. */
  readonly requested: readonly string[];
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const problems: string[] = [];
  const requested: string[] = [];
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) problems.push(message.text());
  });
  page.on('request', (request) => requested.push(request.url()));
  await page.goto(url);
  return {
    page,
    requested,
    async [Symbol.asyncDispose]() {
      await context.close();
      expect(problems).toEqual([]);
    },
  };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @returns what axe-core finds, in words */
export async function axeFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    interface Result {
      violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
    }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Result> } };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
  });
}
