// Runs what the pages of docs/ have their readers run, as it stands there: `npm run docs:try`. A page is skipped where a
// program that it needs is missing, and all pages without root, which their namespaces need.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { root } from '../helpers/server.ts';
import { missingLine, type Page, readPage, type Step } from './page.ts';
import { canSandbox, Sandbox } from './sandbox.ts';

const pages = readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => readPage(path.join('docs', name)))
  .filter(({ steps }) => steps.some(({ kind }) => kind !== 'file'));

const isPossible = canSandbox();
const skipped = isPossible ? [] : ['all guides need root and namespaces of Linux (unshare, ip, overlay file systems)'];
afterAll(() => {
  for (const line of skipped) console.warn(`SKIPPED: ${line}`);
});

describe.runIf(isPossible)(
  'what a guide says works, and shows what it says',
  { tags: 'long', concurrent: true },
  () => {
    test.for(pages)('$name', async (page, { skip }) => {
      await using sandbox = await Sandbox.start();
      const missing = await missingPrograms(sandbox, page);
      if (missing.length > 0) {
        skipped.push(`${page.name} needs ${missing.join(', ')} (apt-get install it, or run .ci/run)`);
        skip(`needs ${missing.join(', ')}`);
      }
      for (const step of page.steps) await perform(sandbox, page, step);
    });
  },
);

async function missingPrograms(sandbox: Sandbox, { needs }: Page): Promise<readonly string[]> {
  const found = await Promise.all(needs.map((program) => sandbox.run(`command -v ${program}`)));
  return needs.filter((_, i) => found[i]?.code !== 0);
}

async function perform(sandbox: Sandbox, page: Page, step: Step): Promise<void> {
  const { text, shows } = step;
  if (step.kind === 'file') return sandbox.write(step.path as string, text);
  const fail = (what: string, output: string): never => {
    throw new Error(`${page.name}:${step.line} ${what}:\n${text}\nprinted:\n${output}`);
  };
  if (step.kind === 'serve') {
    const look = sandbox.serve(text);
    const isDone = (): boolean => look().isOver || missingLine(look().output, shows) === undefined;
    await eventually('the output', isDone).catch(() => {}); // what is missing is said below
    const { isOver, output } = look();
    if (isOver) fail('has ended', output);
    return compare(output);
  }
  const { code, output } = await sandbox.run(text);
  if (code !== 0) fail(`has failed with ${code}`, output);
  compare(output);

  function compare(printed: string): void {
    const missing = missingLine(printed, shows);
    if (missing !== undefined) fail(`does not show '${missing}'`, printed);
  }
}
