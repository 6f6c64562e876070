// The tables of fields in docs/control.md: they have what the types have, and what running servers give is in them.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exitCauses } from '../../src/reports/exit-cause.ts';
import { failedStatus, fullStatus, fullWorker } from '../fixtures/server-status.ts';
import { ask } from '../helpers/control.ts';
import { root, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

/** `a.b[]`, for each value in it. */
function fieldsOf(value: unknown, name = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => fieldsOf(one, `${name}[]`));
  if (typeof value !== 'object' || value === null) return [name];
  return Object.entries(value).flatMap(([key, one]) => fieldsOf(one, name === '' ? key : `${name}.${key}`));
}

const page = readFileSync(path.join(root, 'docs/control.md'), 'utf8');
const [, ...tables] = page.split('| field | unit | meaning |');
const [ofStatus = [], ofWorkers = []] = tables.map((table) =>
  [...(table.split('\n\n')[0] ?? '').matchAll(/^\| `([^`]+)` \|/gm)].map(([, field = '']) => field),
);
const ofWorker = (worker: unknown): string[] => fieldsOf(worker).sort();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-fields-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('have each field of the types, once', () => {
  const all = new Set([...fieldsOf(fullStatus), ...fieldsOf(failedStatus)]);
  expect([...ofStatus].sort()).toEqual([...all].sort());
  expect([...ofWorkers].sort()).toEqual([...new Set(ofWorker(fullWorker))]);
});

test('the table of causes has each cause of an exit, once', () => {
  const [, rest = ''] = page.split('| cause | why');
  const rows = [...(rest.split('\n\n')[0] ?? '').matchAll(/^\| `([^`]+)` \|/gm)].map(([, cause]) => cause);
  expect(rows).toEqual([...exitCauses]);
});

test.concurrent.each([
  [
    'prefork',
    ['--accept', 'dispatch', '--workers', '2', '--admin', '0', '--sticky', 'ip', '--cache', '8M'],
    ['sessions.placedAgain', 'balance', 'starts.processes', 'exits[].cause', 'cache.hits'],
  ],
  ['hybrid', ['--workers', '1', '--max-workers', '2', '--threads', '2'], ['range.workers[]', 'last.outcome.message']],
  ['ppc', [], ['workers.wanted']],
])('have each field that a server of %s gives', async (model, args, some) => {
  const control = path.join(folder, `${model}.ctl`);
  await using server = await startServer({ model, args: [...args, '--control', control] });
  using wire = await connect(server.url);
  await wire.ask('GET /');
  await ask(control, 'POST', '/reload');
  const { json: status } = await ask(control, 'GET', '/status');
  await ask(control, 'GET', '/workers');
  await wire.ask('GET /');
  const { json: workers } = await ask(control, 'GET', '/workers');
  const fields = fieldsOf(status);
  expect(fields).toEqual(expect.arrayContaining(['state', 'last.outcome.ok', ...some]));
  expect(fields.filter((field) => !ofStatus.includes(field))).toEqual([]);
  const workerFields = new Set((workers as unknown[]).flatMap(ofWorker));
  expect([...workerFields]).toEqual(expect.arrayContaining(['pid', 'loops[].state', 'loops[].utilization']));
  expect([...workerFields].filter((field) => !ofWorkers.includes(field))).toEqual([]);
});
