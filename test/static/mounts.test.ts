// Directories of files in front of an app, and what options make of them, in each model.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { canUseNobody } from '../helpers/nobody.ts';
import { forPlacements } from '../helpers/placements.ts';
import { fixture, type Line, runCli, startServer } from '../helpers/server.ts';
import { connect, type Response } from '../helpers/wire.ts';
import { ask, Folder, longAgo, serveFolder } from './site.ts';

const app = `module.exports = (req, res) => {
  if (req.url === '/fail') throw new Error('of the app');
  let body = '';
  req.on('data', (chunk) => { body += chunk; });
  req.on('end', () => res.end('app: ' + req.method + ' ' + req.url + ' ' + body));
};`;
const files = {
  'logo.png': 'the logo',
  'main.js': 'main();'.repeat(1000),
  'page.html': '<p>page</p>',
  'sub/index.html': '<p>sub</p>',
  'bare/x.txt': 'x',
  '.env': 'SECRET',
  '../app.cjs': app,
};

function withApp(more: Readonly<Record<string, string>> = {}): Folder & { readonly app: string } {
  const folder = new Folder({ ...files, ...more });
  return Object.assign(folder, { app: folder.path('../app.cjs') });
}

test('a file for which there is no descriptor is answered with 503, and the log has the reason', async () => {
  using folder = withApp();
  await using server = await startServer({
    app: fixture('full.cjs'),
    args: ['--workers', '1', '--static', `/assets=${folder.root}`],
    node: '/bin/sh',
    script: fixture('few-descriptors.sh'),
    env: { NODE: process.execPath, LIMIT: '200' },
  });
  using wire = await connect(server.url);
  await wire.ask('GET /fill');
  expect((await wire.ask('GET /assets/logo.png')).status).toBe(503);
  const line = await server.waitFor('the error line', ({ event }) => event === 'request-failed');
  expect(line).toMatchObject({
    level: 50,
    url: '/assets/logo.png',
    err: { message: expect.stringContaining('EMFILE') },
  });
  await wire.ask('GET /free');
  expect(await wire.ask('GET /assets/logo.png')).toMatchObject({ status: 200, body: 'the logo' });
});

describe('a directory in front of an app', () => {
  forPlacements(({ model, accept, args = [] }) => {
    test('serves its files, and leaves everything else to the app', async () => {
      using folder = withApp();
      await using server = await startServer({
        app: folder.app,
        model,
        ...(accept && { accept }),
        args: [...args, '--static', `/assets=${folder.root},immutable`],
      });
      const get = (line: string, headers = {}) => ask(server.url, line, headers);
      expect(await get('GET /assets/logo.png')).toMatchObject({
        status: 200,
        body: 'the logo',
        headers: { 'cache-control': 'public, max-age=31536000, immutable', 'content-type': 'image/png' },
      });
      // Pages name the files, and are asked for again.
      expect((await get('GET /assets/page.html')).headers['cache-control']).toBe('public, max-age=0');
      expect((await get('GET /assets/main.js', { 'accept-encoding': 'br' })).headers['content-encoding']).toBe('br');
      expect(await get('GET /assets/sub')).toMatchObject({ status: 301, headers: { location: '/assets/sub/' } });
      expect((await get('GET /assets/sub/')).body).toBe('<p>sub</p>');
      expect(await get('POST /assets/logo.png')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
      for (const target of [
        '/',
        '/logo.png',
        '/assets',
        '/assets/',
        '/assets/nothing',
        '/assets/bare',
        '/assets/.env',
        '/assets/%00',
        '/assets/../logo.png',
        '/assetsx/logo.png',
        '/ASSETS/logo.png',
      ])
        expect(await get(`GET ${target}`), target).toMatchObject({ status: 200, body: `app: GET ${target} ` });
      using client = await connect(server.url);
      expect((await client.ask('POST /assets/upload', {}, 'the body')).body).toBe('app: POST /assets/upload the body');
      await server.stop();
    });
  });

  test('of several, each has its path, in the configuration file relative to it', async () => {
    using folder = withApp();
    const config = {
      app: 'app.cjs',
      workers: 1,
      static: [
        { path: '/one', dir: 'public/sub' },
        { path: '/two/', dir: 'public/bare', listing: true },
      ],
    };
    writeFileSync(folder.path('../mpserve.config.json'), JSON.stringify(config));
    const file = folder.path('../mpserve.config.json');
    await using server = await startServer({ args: ['--config', file] });
    expect((await ask(server.url, 'GET /one/')).body).toBe('<p>sub</p>');
    expect((await ask(server.url, 'GET /two/x.txt')).body).toBe('x');
    expect((await ask(server.url, 'GET /two/')).body).toContain('<a href="./x.txt">x.txt</a>');
    await server.stop();
  });

  test('at / answers before the app, also with the body of a request that is none', async () => {
    using folder = withApp();
    await using server = await startServer({
      app: folder.app,
      args: ['--static', `/=${folder.root}`, '--workers', '1'],
    });
    expect((await ask(server.url, 'GET /logo.png')).body).toBe('the logo');
    using client = await connect(server.url);
    const body = 'x'.repeat(300_000);
    const response = await client.ask('POST /upload', { expect: '100-continue' }, body);
    expect(response.body).toBe(`app: POST /upload ${body}`);
    expect((await client.ask('GET /other')).body).toBe('app: GET /other ');
    await server.stop();
  });

  test('with spa answers unknown pages of a browser, and no other request', async () => {
    using folder = withApp({ 'index.html': '<p>spa</p>' });
    const mount = `/=${folder.root},spa`;
    await using server = await startServer({ app: folder.app, args: ['--static', mount, '--workers', '1'] });
    const page = { accept: 'text/html,*/*;q=0.8' };
    expect((await ask(server.url, 'GET /a/b?c', page)).body).toBe('<p>spa</p>');
    expect((await ask(server.url, 'GET /a/b.js', page)).body).toBe('app: GET /a/b.js ');
    expect((await ask(server.url, 'GET /a/b', { accept: '*/*' })).body).toBe('app: GET /a/b ');
    expect((await ask(server.url, 'GET /a/b')).body).toBe('app: GET /a/b ');
    await server.stop();
  });

  test('has the page for errors of the app, for clients that take pages', async () => {
    using folder = withApp({ '50x.html': '<p>sorry</p>' });
    await using server = await startServer({
      app: folder.app,
      args: ['--static', `/=${folder.root}`, '--workers', '1'],
    });
    expect(await ask(server.url, 'GET /fail', { accept: 'text/html' })).toMatchObject({
      status: 500,
      body: '<p>sorry</p>',
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
    expect((await ask(server.url, 'GET /fail', { accept: 'application/json' })).body).toMatch(
      /^500 Internal Server Error\n/,
    );
    expect((await ask(server.url, 'HEAD /fail', { accept: 'text/html' })).body).toBe('');
    folder.put('50x.html', '<p>very sorry</p>');
    await eventually(
      'the new page',
      async () => (await ask(server.url, 'GET /fail', { accept: '*/*' })).body === '<p>very sorry</p>',
    );
    await server.stop();
  });

  test('can be added by a reload', async () => {
    using folder = withApp();
    const file = folder.path('../settings.json');
    writeFileSync(file, '{}');
    await using server = await startServer({ app: folder.app, args: ['--config', file, '--workers', '1'] });
    expect((await ask(server.url, 'GET /assets/logo.png')).body).toBe('app: GET /assets/logo.png ');
    writeFileSync(file, JSON.stringify({ static: [{ path: '/assets', dir: folder.root }] }));
    server.child.kill('SIGHUP');
    await eventually('the files', async () => (await ask(server.url, 'GET /assets/logo.png')).body === 'the logo');
    await server.stop();
  });
});

describe('a directory as the app', () => {
  const withServer = async (
    more: Readonly<Record<string, string>>,
    args: readonly string[],
    body: (get: (line: string, headers?: Record<string, string>) => Promise<Response>, folder: Folder) => Promise<void>,
  ): Promise<void> => {
    using folder = new Folder({ ...files, ...more });
    const server = await serveFolder(folder, { args });
    try {
      await body((line, headers) => ask(server.url, line, headers), folder);
    } finally {
      await server.stop();
    }
  };

  test('has 404.html for what is not there', () =>
    withServer({ '404.html': '<p>not here</p>' }, [], async (get) => {
      for (const headers of [{}, { 'if-none-match': '*', range: 'bytes=0-1' }]) {
        const response = await get('GET /nothing', headers);
        expect(response).toMatchObject({ status: 404, body: '<p>not here</p>' });
        expect(response.headers.etag).toBeUndefined();
      }
      expect(await get('HEAD /nothing')).toMatchObject({ status: 404, headers: { 'content-length': '15' } });
      expect((await get('GET /404.html')).status).toBe(200);
    }));

  test('lists no directory without --listing', () =>
    withServer({}, [], async (get) => {
      for (const target of ['/', '/bare/', '/bare']) expect((await get(`GET ${target}`)).status).toBe(404);
    }));

  test('with --listing lists a directory without index.html; names do nothing on the page', () =>
    withServer(
      {
        'bare/<img src=x onerror=alert(1)>': 'x',
        'bare/.hidden': 'x',
        'bare/a b&c.txt': 'content',
        'bare/javascript:x': 'x',
      },
      ['--listing'],
      async (get, folder) => {
        mkdirSync(folder.path('bare/dir'));
        symlinkSync('../../app.cjs', folder.path('bare/outside'));
        symlinkSync('../sub', folder.path('bare/inside'));
        const page = await get('GET /bare/');
        expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
        expect(page.headers['content-security-policy']).toContain("default-src 'none'");
        const links = [...page.body.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
        expect(links).toEqual([
          '../',
          './dir/',
          './inside/',
          './%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E',
          './a%20b%26c.txt',
          './javascript%3Ax',
          './x.txt',
        ]);
        expect(page.body).not.toContain('<img');
        expect((await get('GET /bare/a%20b%26c.txt')).body).toBe('content');
        expect(await get('GET /bare')).toMatchObject({ status: 301, headers: { location: '/bare/' } });
        expect((await get('GET /sub/')).body).toBe('<p>sub</p>');
        expect((await get('GET /')).body).not.toContain('.env');
      },
    ));

  test('with --spa answers unknown pages with index.html, and unknown files with 404', () =>
    withServer({ 'index.html': '<p>spa</p>' }, ['--spa'], async (get) => {
      for (const target of ['/a', '/a/b/c?d', '/a/']) {
        expect(await get(`GET ${target}`)).toMatchObject({ status: 200, body: '<p>spa</p>' });
        expect((await get(`GET ${target}`, { accept: 'application/json' })).status).toBe(404);
      }
      const etag = (await get('GET /a')).headers.etag ?? '';
      expect((await get('GET /a', { 'if-none-match': etag })).status).toBe(304);
      expect((await get('GET /a.js')).status).toBe(404);
      expect((await get('POST /a')).status).toBe(405);
    }));

  test('may have others in front of it, whose missing files it may have', () =>
    withServer({ 'a/own.txt': 'own', 'a/both.txt': 'own', '../more/both.txt': 'more' }, [], async (_, folder) => {
      const args = ['--static', `/a=${folder.path('../more')}`, '--workers', '1'];
      await using server = await startServer({ app: `${folder.root}/`, args });
      const body = async (target: string) => (await ask(server.url, `GET ${target}`)).body;
      expect(await Promise.all(['/a/both.txt', '/a/own.txt', '/logo.png'].map(body))).toEqual([
        'more',
        'own',
        'the logo',
      ]);
      expect((await ask(server.url, 'GET /a/nothing')).status).toBe(404);
      await server.stop();
    }));

  test('without memory serves the same, uncompressed', () =>
    withServer({}, ['--static-memory', '0'], async (get) => {
      const response = await get('GET /main.js', { 'accept-encoding': 'br' });
      expect(response).toMatchObject({ status: 200, body: files['main.js'] });
      expect((await get('GET /main.js', { range: 'bytes=0-3' })).body).toBe('main');
      expect((await get('GET /main.js', { 'if-modified-since': longAgo.toUTCString() })).status).toBe(304);
    }));

  test('with little memory serves many files and does not grow', () => {
    const names = Array.from({ length: 60 }, (_, i) => `many/${i}.txt`);
    const more = Object.fromEntries(names.map((name) => [name, name.padEnd(100_000, '.')]));
    return withServer(more, ['--static-memory', '1M'], async (get) => {
      for (const name of [...names, ...names]) expect((await get(`GET /${name}`)).body).toBe(more[name]);
    });
  });
});

describe('a directory that cannot be served is an error at the start', () => {
  const start = (folder: Folder, ...args: readonly string[]) =>
    runCli([folder.path('../app.cjs'), '--bind', '127.0.0.1:0', ...args]);

  test.each([
    ['is missing', 'nothing', /--static names a directory for \/assets that does not exist: '.*\/nothing'/],
    ['is a file', 'logo.png', /--static names a directory for \/assets that is a file: '.*\/logo\.png'/],
    ['is a link to nothing', 'dangling', /--static names a directory for \/assets that does not exist/],
    ['is a loop', 'loop', /--static names a directory for \/assets that cannot be read: ELOOP/],
  ])('%s', async (_, name, message) => {
    using folder = withApp();
    symlinkSync('loop', folder.path('loop'));
    symlinkSync('away', folder.path('dangling'));
    const { code, stderr, left } = await start(folder, '--static', `/assets=${folder.path(name)}`);
    expect([code, left]).toEqual([2, []]);
    expect(stderr).toMatch(message);
  });

  test.each([
    ['/a', '/a'],
    ['/a', '/a/b'],
    ['/', '/a'],
    ['/a/b/', '/a'],
  ])('the paths %s and %s overlap, and both are named', async (one, other) => {
    using folder = withApp();
    const dirs = [folder.path('sub'), folder.path('bare')];
    const { code, stderr } = await start(folder, '--static', `${one}=${dirs[0]}`, '--static', `${other}=${dirs[1]}`);
    expect(code).toBe(2);
    const shown = (at: string) => (at.length > 1 ? at.replace(/\/$/, '') : at);
    expect(stderr).toContain(`${shown(one)} (${dirs[0]}) and ${shown(other)} (${dirs[1]})`);
  });

  test('/ overlaps with a directory that is the app', async () => {
    using folder = withApp();
    const { code, stderr } = await runCli([`${folder.root}/`, '--static', `/=${folder.path('sub')}`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /--static must have paths that do not overlap; the paths \/ \(.*sub\) and \/ \(.*the app\) do/,
    );
  });

  test('one that goes away later costs only its own files', async () => {
    using folder = withApp();
    await using server = await startServer({
      app: folder.app,
      args: ['--static', `/assets=${folder.root}`, '--workers', '1'],
    });
    expect((await ask(server.url, 'GET /assets/logo.png')).body).toBe('the logo');
    rmSync(folder.root, { recursive: true });
    await eventually(
      'the file to be missed',
      async () => (await ask(server.url, 'GET /assets/logo.png')).body === 'app: GET /assets/logo.png ',
    );
    process.kill(server.workers()[0] ?? 0, 'SIGKILL');
    await eventually(
      'another worker',
      async () => (await ask(server.url, 'GET /x').catch(() => undefined))?.body === 'app: GET /x ',
    );
    await server.stop();
  });
});

test.skipIf(!canUseNobody)('a directory that the user of the workers may not read is logged, once', async () => {
  using folder = withApp({ '../open/app.cjs': app });
  chmodSync(path.dirname(folder.root), 0o755);
  chmodSync(folder.root, 0o700);
  const args = ['--static', `/assets=${folder.root}`, '--workers', '2', '--user', 'nobody'];
  await using server = await startServer({ app: folder.path('../open/app.cjs'), args });
  const isTold = (line: Line): boolean => line.event === 'static-unreadable';
  expect(await server.waitFor('the directory', isTold)).toMatchObject({
    dirs: [folder.root],
    reason: expect.stringContaining('EACCES'),
  });
  expect((await ask(server.url, 'GET /assets/logo.png')).body).toBe('app: GET /assets/logo.png ');
  await server.stop();
  expect(server.lines.filter(isTold)).toHaveLength(1);
});

test('--spa and --listing without a directory are warned of', async () => {
  using folder = withApp();
  const { stderr } = await runCli(['config', folder.app, '--spa', '--listing']);
  expect(stderr).toContain('--spa does nothing unless the app is a directory');
  expect(stderr).toContain('--listing does nothing unless the app is a directory');
});

test('the configuration is printed with its directories', async () => {
  using folder = withApp();
  const args = ['config', folder.app, '--json', '--static', `/assets=${folder.root},immutable`];
  const { stdout } = await runCli(args);
  expect(JSON.parse(stdout).static.value).toEqual([
    { path: '/assets', dir: path.resolve(folder.root), immutable: true },
  ]);
  expect(readFileSync(folder.app, 'utf8')).toBe(app);
});
