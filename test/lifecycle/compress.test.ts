// --compress in a server: in each model, where the process that has the connections does not have the app, and as users give it.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { madeCodings } from '../../src/http/coding-name.ts';
import { fetchDecoded } from '../helpers/decode.ts';
import { testPlacements } from '../helpers/placements.ts';
import { type Line, runCli, type ServerOptions, startServer } from '../helpers/server.ts';
import { Folder } from '../static/site.ts';

/** A path says how it is answered. */
const app = `
const { Readable } = require('node:stream');
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(300);
let count = 0;
module.exports = (req, res) => {
  res.setHeader('x-count', ++count);
  res.setHeader('cache-control', 'max-age=60');
  res.setHeader('content-type', req.url === '/image' ? 'image/png' : 'text/html; charset=utf-8');
  if (req.url === '/slow') {
    res.write('the beginning');
    return setTimeout(() => res.end('the end'), 100);
  }
  if (req.url === '/stream') return Readable.from(Array(20).fill(text)).pipe(res);
  if (req.url === '/fail') throw new Error('of the app');
  if (req.url === '/small') return res.end('small');
  res.setHeader('etag', '"x"');
  res.end(text);
};`;

const text = 'The quick brown fox jumps over the lazy dog. '.repeat(300);

function withApp(files: Readonly<Record<string, string>> = {}): Folder & { readonly app: string } {
  const folder = new Folder({ '../app.cjs': app, 'main.js': 'main();'.repeat(1000), 'index.html': text, ...files });
  return Object.assign(folder, { app: folder.path('../app.cjs') });
}

async function compresses(options: ServerOptions): Promise<void> {
  await using server = await startServer(options);
  const ask = (target: string, accepted = 'gzip, br', method = 'GET') =>
    fetchDecoded(server.url + target, accepted === '' ? {} : { 'accept-encoding': accepted }, method);
  for (const method of ['GET', 'HEAD']) {
    for (const [accepted, coding] of [
      ['gzip, br', 'br'],
      ['gzip', 'gzip'],
      ['', undefined],
    ] as const) {
      const { headers, body } = await ask('/', accepted, method);
      expect([headers['content-encoding'], headers.vary, headers.etag]).toEqual([
        coding,
        'accept-encoding',
        coding ? 'W/"x"' : '"x"',
      ]);
      if (method === 'GET') expect(body.toString()).toBe(text);
    }
  }
  const stream = await ask('/stream');
  expect([stream.headers['content-encoding'], stream.body.toString() === text.repeat(20)]).toEqual(['br', true]);
  expect(stream.sent).toBeLessThan(10_000);
  expect((await ask('/slow')).body.toString()).toBe('the beginningthe end');
  for (const [target, status, body] of [
    ['/small', 200, 'small'],
    ['/image', 200, text],
    ['/fail', 500, /^500 Internal Server Error/],
  ] as const) {
    const got = await ask(target);
    expect([got.status, got.headers['content-encoding'], got.headers.vary]).toEqual([status, undefined, undefined]);
    expect(got.body.toString()).toMatch(body);
  }
}

testPlacements('responses are compressed for clients that accept it', async ({ model, accept, args = [] }) => {
  using folder = withApp();
  await compresses({ app: folder.app, model, ...(accept && { accept }), args: [...args, '--compress', 'br,gzip'] });
});

const routes = JSON.stringify([{ match: '/stream', model: 'prethread', unit: 'request', threads: 1 }, { match: '*' }]);

test('with --unit request and with routes, the process that has the connections compresses', async () => {
  using folder = withApp();
  for (const args of [
    ['--unit', 'request', '--threads', '2'],
    ['--workers', '1', '--routes', routes],
  ])
    await compresses({
      app: folder.app,
      model: args[0] === '--unit' ? 'prethread' : 'prefork',
      args: [...args, '--compress', 'br,gzip'],
    });
});

test('what is compressed is kept by the cache', async () => {
  using folder = withApp();
  const args = ['--workers', '1', '--cache', '8M', '--compress', 'gzip,br'];
  await using server = await startServer({ app: folder.app, model: 'prefork', args });
  for (const target of ['/', '/stream']) {
    const counts = new Set<unknown>();
    for (let i = 0; i < 3; i++) {
      for (const accepted of ['gzip', 'br', 'identity']) {
        const { headers, body } = await fetchDecoded(server.url + target, { 'accept-encoding': accepted });
        expect(headers['content-encoding']).toBe(accepted === 'identity' ? undefined : accepted);
        expect(body.toString()).toBe(target === '/' ? text : text.repeat(20));
        expect(headers['cache-status']).toContain(i === 0 ? 'fwd=' : 'hit');
        counts.add(headers['x-count']);
      }
    }
    expect(counts.size).toBe(3);
  }
});

describe('the option', () => {
  test.each([
    ['foo', "--compress must be br, zstd or gzip, several separated by commas, or on or off, not 'foo'"],
    ['br,', "--compress must be br, zstd or gzip, several separated by commas, or on or off, not ''"],
    ['gzip,br,gzip', "--compress must name each item once, not 'gzip'"],
  ])('--compress %s is refused', async (value, message) => {
    const { code, stderr } = await runCli(['--compress', value]);
    expect([code, stderr.trim()]).toEqual([2, expect.stringContaining(message)]);
  });

  const warnings = (lines: readonly Line[]) =>
    lines.flatMap(({ event, warning }) => (event === 'warning' && /compress/.test(String(warning)) ? [warning] : []));

  test('a coding that this Node cannot make is a warning', async () => {
    using folder = withApp();
    await using server = await startServer({ app: folder.app, args: ['--workers', '1', '--compress', 'zstd,gzip'] });
    const hasZstd = madeCodings.includes('zstd');
    const said = `--compress names zstd, which Node ${process.version} cannot make (22.15 and 23.8 can)`;
    expect(warnings(server.lines)).toEqual(hasZstd ? [] : [said]);
    const { headers } = await fetchDecoded(server.url, { 'accept-encoding': 'zstd, gzip' });
    expect(headers['content-encoding']).toBe(hasZstd ? 'zstd' : 'gzip');
  });

  test('in a file, true is all that this Node can make; a directory needs none of it', async () => {
    using folder = withApp();
    const configuration = path.join(path.dirname(folder.app), 'mpserve.config.json');
    writeFileSync(configuration, JSON.stringify({ compress: true, workers: 1 }));
    await using server = await startServer({ app: folder.app, args: ['--config', configuration] });
    const { headers } = await fetchDecoded(server.url, { 'accept-encoding': madeCodings.join() });
    expect(headers['content-encoding']).toBe('br');
    await using files = await startServer({ app: folder.root, args: ['--config', configuration] });
    expect(warnings(files.lines)).toEqual([expect.stringContaining('does nothing when the app is a directory')]);
    expect((await fetchDecoded(files.url, { 'accept-encoding': 'gzip' })).headers.etag).toMatch(/^"/);
  });
});
