// Loading routes: their settings, and each kind of wrong ones.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { matcher } from '../../src/config/route-pattern.ts';
import { configure, refusal } from './config-fixture.ts';

let cwd: string;
beforeAll(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'mpserve-routes-'));
});
afterAll(() => rmSync(cwd, { recursive: true }));

const put = (routes: unknown, others: object = {}): string => {
  const file = path.join(cwd, 'mpserve.config.json');
  writeFileSync(file, JSON.stringify({ routes, ...others }));
  return file;
};
const rest = { match: '*' };

describe('a route', () => {
  test('has its own settings, and those beside the routes that are for all', async () => {
    put([{ match: '/pdf/*', model: 'prethread', threads: 3, maxMemory: '512M', hangTimeout: '2s' }, rest], {
      workers: 3,
      maxMemory: '1G',
      hangTimeout: '9s',
      env: undefined,
    });
    const { routes, config } = await configure([], { cwd });
    expect(config).toMatchObject({ model: 'prefork', workers: 3, hangTimeout: 9000 });
    const [pdf, others] = routes;
    expect(pdf).toMatchObject({ match: '/pdf/*' });
    expect(pdf?.config.pool).toMatchObject({ model: 'prethread', workers: 1, threads: 3 });
    expect(pdf?.config).toMatchObject({ recycle: { maxMemory: 512 * 1024 ** 2 }, lifecycle: { hangTimeout: 2000 } });
    expect(pdf?.sources.threads).toMatchObject({ kind: 'route', match: '/pdf/*', key: 'threads' });
    // Those of the pool are of the processes that have the connections.
    expect(others?.config).toMatchObject({
      pool: { workers: 4 },
      recycle: { maxMemory: 0 },
      lifecycle: { hangTimeout: 9000 },
    });
  });

  test('can be given as JSON', async () => {
    const { routes } = await configure(['--routes', JSON.stringify([{ match: '/a/:id' }, rest])]);
    expect(routes.map(({ match }) => match)).toEqual(['/a/:id', '*']);
  });

  test.each([
    ['/pdf/*', ['/pdf/', '/pdf/a', '/pdf/a/b?c=d', '/p%64f/a'], ['/', '/pdf', '/pdfs/a', '/PDF/a', '/a/pdf/b', '*']],
    ['/users/:id', ['/users/1', '/users/1?a'], ['/users', '/users/1/2']],
    ['/', ['/', '/?a'], ['/a']],
    ['*', ['/', '/a/b', '*', 'http://a/b'], []],
  ])('%s matches paths', (match, some, others) => {
    const has = matcher(match);
    expect(some.filter(has)).toEqual(some);
    expect(others.filter(has)).toEqual([]);
  });
});

describe('refused are', () => {
  test.each<[title: string, routes: unknown, message: RegExp]>([
    ['no list', { match: '*' }, /^routes in .* must be a list of routes, as in \[\{ "match": "\/pdf\/\*"/],
    ['what is no route', ['/pdf/*', rest], /must be a list of routes.*not '\/pdf\/\*'$/],
    ['too many', Array.from({ length: 33 }, (_, i) => ({ match: `/${i}` })), /must have at most 32 routes, not 33$/],
    [
      'no route for the rest',
      [{ match: '/a' }],
      /has no route for all other paths: end the list with \{ match: '\*' \}$/,
    ],
    [
      'one behind that for all',
      [rest, { match: '/a' }],
      /^the route \/a of .* never matches: \* before it has all its paths; put the more specific one first$/,
    ],
    [
      'one behind a wider one',
      [{ match: '/a/*' }, { match: '/a/b/*' }, rest],
      /^the route \/a\/b\/\* of .* never matches: \/a\/\* before it/,
    ],
    [
      'one behind a parameter',
      [{ match: '/a/:id' }, { match: '/a/b' }, rest],
      /^the route \/a\/b of .* never matches: \/a\/:id before it/,
    ],
    [
      'the same twice',
      [{ match: '/a' }, { match: '/a' }, rest],
      /^the route \/a of .* never matches: .*; give each pattern once$/,
    ],
    ['no path', [{ match: 'pdf' }, rest], /^the route 'pdf' of .* must start with \/, as in \/pdf\/\*, or be \*$/],
    [
      'a regular expression',
      [{ match: '/a/:id(\\d+)' }, rest],
      /may have :name for a part of the path and \* at its end/,
    ],
    [
      'a * in the middle',
      [{ match: '/a*/b' }, rest],
      /is no pattern: Wildcard must be the last character in the route$/,
    ],
    [
      'an unknown key',
      [{ match: '/a', thread: 2 }, rest],
      /^thread of the route \/a of routes in .* is no option; did you mean threads\?$/,
    ],
    [
      'a key that is for all',
      [{ match: '/a', bind: ':80' }, rest],
      /^bind of the route \/a of .* is the same for all routes: give it beside routes/,
    ],
    [
      'a wrong value',
      [{ match: '/a', model: 'prethread', threads: 0 }, rest],
      /^threads of the route \/a of routes in .* must be .*1 to 1024.*, not 0$/,
    ],
    [
      'a unit that the model cannot do',
      [{ match: '/a', unit: 'request' }, rest],
      /^unit of the route \/a of .* request needs --model prethread or hybrid: the model prefork has no pool of threads$/,
    ],
  ])('%s', async (_, routes, message) => {
    put(routes);
    const [code, text] = await refusal([], { cwd });
    expect(code).toBe(2);
    expect(text).toMatch(message);
  });

  test('a model beside the routes', async () => {
    put([rest]);
    expect((await refusal(['--model', 'prethread'], { cwd }))[1]).toBe(
      "--model does not go with routes, whose connections prefork has; give a model to each route instead, as in { match: '*', model: 'prethread' }",
    );
  });

  test('text that is no JSON', async () => {
    expect((await refusal(['--routes', '[{match']))[1]).toMatch(/^--routes must be a list of routes/);
  });

  test('not routes that overlap where each has paths: the first one has what both match', async () => {
    put([{ match: '/a/-' }, { match: '/a/b' }, { match: '/a/:id' }, { match: '/a/*' }, rest]);
    expect((await configure([], { cwd })).routes).toHaveLength(5);
  });
});
