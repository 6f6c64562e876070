// Files where other threads or workers have the app.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchDecoded } from '../helpers/decode.ts';
import { startServer } from '../helpers/server.ts';
import { Folder } from './site.ts';

const text = 'The quick brown fox jumps over the lazy dog. '.repeat(300);
const content = {
  'index.html': text,
  'main.js': 'main();'.repeat(1000),
  '../app.cjs': "module.exports = (req, res) => res.setHeader('x-app', 'yes').end('app');",
};

describe('files are served by the process that has the connections', () => {
  test('with --unit request, as the app', async () => {
    using folder = new Folder(content);
    await using server = await startServer({
      app: folder.root,
      model: 'prethread',
      args: ['--threads', '2', '--unit', 'request'],
    });
    const page = await fetchDecoded(server.url, { 'accept-encoding': 'br' });
    expect([page.status, page.headers['content-encoding'], page.body.toString()]).toEqual([200, 'br', text]);
    expect((await fetchDecoded(`${server.url}/nothing`)).status).toBe(404);
    const range = await fetchDecoded(`${server.url}/main.js`, { range: 'bytes=0-6' });
    expect([range.status, range.body.toString()]).toEqual([206, 'main();']);
  });

  test('with routes, in front of them', async () => {
    using folder = new Folder(content);
    const configuration = path.join(path.dirname(folder.root), 'mpserve.config.json');
    const written = {
      app: './app.cjs',
      workers: 1,
      static: [{ path: '/assets', dir: folder.root, immutable: true }],
      routes: [{ match: '/assets/app/*' }, { match: '*' }],
    };
    writeFileSync(configuration, JSON.stringify(written));
    await using server = await startServer({ args: ['--config', configuration] });
    const file = await fetchDecoded(`${server.url}/assets/main.js`, { 'accept-encoding': 'gzip' });
    expect([file.status, file.headers['content-encoding']]).toEqual([200, 'gzip']);
    expect(file.headers['cache-control']).toContain('immutable');
    expect(file.headers['x-app']).toBeUndefined();
    for (const target of ['/assets/app/x', '/other']) {
      expect((await fetchDecoded(server.url + target)).headers['x-app']).toBeDefined();
    }
  });
});
