// The pretty log format, and errors of the app in both formats.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, launchServer, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const urlIn = (lines: () => readonly string[]): Promise<string> =>
  eventually('the ready line', () => /serving on (\S+)/.exec(lines().join('\n'))?.[1]);
const forged = '/%0A%1B%5B2J%C2%9B2J%E2%80%AE12:00:00%20INFO:%20forged';
const found = (server: Server, shape: RegExp): Promise<string> =>
  eventually(`${shape}`, () => server.plain.find((line) => shape.test(line)));

test('control characters from a client cannot forge lines or control the terminal', async () => {
  const args = ['--workers', '1', '--log-format', 'pretty', '--access-log', '-'];
  await using server = launchServer({ app: fixture('quotes.cjs'), args });
  using wire = await connect(await urlIn(() => server.plain));
  expect((await wire.ask(`GET ${forged}`)).status).toBe(500);
  const line = await found(server, /ERROR: the app failed/);
  expect(line).toMatch(/no such page: \/\\n\\u001b\[2J\\u009b2J\\u202e12:00:00 INFO: forged$/);
  await found(server, /^\[[\d:.]+\] INFO: GET \/%0A\S+ 500 \d+ B \d+\.\d ms 127\.0\.0\.1 \(\S+\)$/);
  await found(server, /^ +at .*quotes\.cjs/);
  await server.stop();
  expect(server.plain.filter((line) => /[\p{Cc}\p{Bidi_Control}]/u.test(line))).toEqual([]);
  expect(
    server.plain.filter((line) => /^[^ ].*forged/.test(line) && !line.includes('\\n') && !line.includes('GET')),
  ).toEqual([]);
});

test('fields that the message has are hidden, and output of the app is one line', async () => {
  const args = ['--workers', '1', '--log-format', 'pretty', '--capture-output'];
  await using server = launchServer({ app: fixture('prints.cjs'), args });
  using wire = await connect(await urlIn(() => server.plain));
  await wire.ask('GET /x');
  await found(server, /INFO: request: err \/x$/);
  await server.stop();
  const fields = server.plain.filter((line) => line.startsWith(' ')).map((line) => line.trim().split(':')[0]);
  expect(fields).toEqual(['model', 'workers', 'threads', 'bootMs']);
});

test('access lines on standard output are pretty even if the log goes to a file', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    const file = path.join(folder, 'server.log');
    const args = ['--workers', '1', '--log-format', 'pretty', '--log-file', file, '--access-log', '-'];
    await using server = launchServer({ app: fixture('listener.cjs'), args });
    using wire = await connect(await urlIn(() => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [])));
    await wire.ask('GET /x');
    await found(server, /INFO: GET \/x 200 \d+ B/);
    await server.stop();
    expect(server.plain).toHaveLength(1);
    expect(server.lines).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an error keeps its type, and the text of an output line is not repeated in a field', async () => {
  await using server = await startServer({ app: fixture('quotes.cjs') });
  using wire = await connect(server.url);
  await wire.ask('GET /x');
  const line = await server.waitFor('the error', ({ event }) => event === 'request-failed');
  expect(line.err).toMatchObject({ type: 'TypeError', message: 'no such page: /x' });

  await using other = await startServer({ app: fixture('prints.cjs'), args: ['--capture-output'] });
  expect(await other.waitFor('what it printed', ({ event }) => event === 'output')).not.toHaveProperty('text');
});
