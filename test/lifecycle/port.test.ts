// Where the server listens with --port, --host and the variable PORT of a platform, and the PORT that the app sees.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const code = "module.exports = (_req, res) => res.end('port ' + process.env.PORT);";
let folder: string;
let app: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-port-'));
  app = path.join(folder, 'app.cjs');
  writeFileSync(app, code);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function answerOf(url: string): Promise<string> {
  using wire = await connect(url);
  return (await wire.ask('GET /')).body;
}

testPlacements('the app sees the port that is served as PORT', async ({ model, accept, args }) => {
  const bind = [`unix:${path.join(folder, `${model}-${accept}.sock`)}`, '127.0.0.1:0', '127.0.0.1:0'];
  const env = { PORT: '1' };
  await using server = await startServer({ app, model, ...(accept && { accept }), bind, args: args ?? [], env });
  const [, first = ''] = server.urls;
  const expected = `port ${new URL(first).port}`;
  for (const url of server.urls) expect(await answerOf(url)).toBe(expected);
});

test.concurrent('the app still sees the port that is served after a reload, a switch and an upgrade', async () => {
  const site = await Site.start('prefork', ['--pid-file', 'PID'], {}, { PORT: '1' });
  try {
    const { url, pid } = site.server;
    const expected = `port ${new URL(url).port}`;
    site.write(code);
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    expect(await answerOf(url)).toBe(expected);
    const options = { model: 'hybrid' };
    expect(await site.ask('POST', '/switch', JSON.stringify({ options }))).toMatchObject({ status: 200 });
    expect(await answerOf(url)).toBe(expected);
    expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
    await eventually('the old server to exit', () => !isAlive(pid));
    expect(await answerOf(url)).toBe(expected);
    expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
    await site.server.noneLeft();
  } finally {
    await site.remove();
  }
});

test.concurrent('the app sees its own PORT where no port is served', async () => {
  const bind = [`unix:${path.join(folder, 'only.sock')}`];
  await using server = await startServer({ app, bind, env: { PORT: '1' } });
  expect(await answerOf(server.url)).toBe('port 1');
});

test.concurrent('PORT of a platform is served on every IPv4 address', async () => {
  await using server = await startServer({ app, bind: [], env: { PORT: '0' } });
  expect(server.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
  expect(await answerOf(server.url.replace('0.0.0.0', '127.0.0.1'))).toBe(`port ${new URL(server.url).port}`);
});

test.concurrent('-p and --host', async () => {
  await using server = await startServer({ app, bind: [], args: ['-p', '0', '--host', '::1'] });
  expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  expect(await answerOf(server.url)).toBe(`port ${new URL(server.url).port}`);
});
