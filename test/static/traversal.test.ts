// Paths that try to leave the directory: 20,000 of them, made from a seed. No response has a byte from outside of it, and none
// is a 500.
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSeed, type Random, randomOf } from '../helpers/seeds.ts';
import { connect, type Response } from '../helpers/wire.ts';
import { type FileServer, Folder, serveFolder } from './site.ts';

const secret = 'SECRET-OF-OTHERS';
const own = 'OWN-CONTENT';

let folder: Folder;
let server: FileServer;
beforeAll(async () => {
  folder = new Folder({
    'index.html': own,
    'a.txt': own,
    'sub/index.html': own,
    'sub/b.txt': own,
    'sub/deep/c.txt': own,
    '.env': secret,
    '.git/config': secret,
    'sub/.htpasswd': secret,
    'sub/.d/x.txt': secret,
    '.well-known/acme.txt': own,
    '../secret.txt': secret,
    '../public-2/secret.txt': secret,
    '../outside/secret.txt': secret,
    '../outside/index.html': secret,
  });
  for (const [name, target] of [
    ['link.txt', '../secret.txt'],
    ['absolute.txt', folder.path('../secret.txt')],
    ['sub/up.txt', '../../secret.txt'],
    ['chain.txt', 'link.txt'],
    ['out', '../outside'],
    ['sub/sibling', '../../public-2'],
    ['sub/root', '/'],
    ['inside.txt', 'sub/b.txt'],
    ['inside', 'sub/deep'],
    ['loop', 'loop'],
    ['dangling', 'nothing'],
    ['proc', '/proc/self'],
  ] as const)
    symlinkSync(target, folder.path(name));
  mkdirSync(folder.path('sub/..dots'));
  writeFileSync(folder.path('sub/..dots/x.txt'), secret); // a dotfile, too
  linkSync(folder.path('a.txt'), folder.path('hard.txt'));
  server = await serveFolder(folder, { args: ['--listing', '--spa'] });
});
afterAll(async () => {
  await server.stop();
  folder[Symbol.dispose]();
});

const names = [
  'a.txt',
  'sub',
  'b.txt',
  'deep',
  'c.txt',
  'index.html',
  'secret.txt',
  'outside',
  'public',
  'public-2',
  '.env',
  '.git',
  'config',
  '.htpasswd',
  '.d',
  'x.txt',
  '..dots',
  '.well-known',
  'link.txt',
  'absolute.txt',
  'up.txt',
  'chain.txt',
  'out',
  'sibling',
  'root',
  'inside',
  'loop',
  'dangling',
  'proc',
  'environ',
  'root/etc/passwd',
  'etc',
  'passwd',
  'A.TXT',
  'SUB',
  'nothing',
];
const ups = [
  '..',
  '.',
  '...',
  '....',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '%252e%252e',
  '%c0%ae%c0%ae',
  '%e0%80%ae%e0%80%ae',
  '%u002e%u002e',
  '..;',
  '..%00',
  '..%20',
  '%ff%fe',
  '%',
  '%2',
  '%zz',
  '\u00e4',
  '..\u00c0\u00af',
];
const slashes = ['/', '//', '\\', '%2f', '%2F', '%5c', '%252f', '%c0%af', '/./', '/%2e/', '%00/', '/;/', '/?/'];
const ends = ['', '', '', '/', '%00', '%00.txt', '?x=/../', '#/..', '.', '%20', '~', '.bak', ';a=b', '\\'];
const starts = [
  '/',
  '/',
  '/',
  '/',
  '//',
  '/\\',
  '',
  'http://test/',
  'http://test',
  'file:///',
  'HTTP://x@y/',
  '*',
  '\\',
];

function targetFrom(random: Random): string {
  let target = random.pick(starts);
  for (let i = random.integer(0, 6); i >= 0; i--) {
    const segment = random.chance(0.45) ? random.pick(ups) : random.pick(names);
    target += (random.chance(0.1) ? encoded(segment) : segment) + (i > 0 ? random.pick(slashes) : '');
  }
  target += random.pick(ends);
  // What is no target at all is Node's to refuse.
  return target.replaceAll(' ', '%20') || '/';
}

function encoded(text: string): string {
  return text.replace(/[a-z.]/gi, (one) => `%${one.charCodeAt(0).toString(16)}`);
}

test.each([
  ['/a.txt', 200],
  ['/hard.txt', 200],
  ['/inside.txt', 200],
  ['/inside/c.txt', 200],
  ['/.well-known/acme.txt', 200],
  ['/link.txt', 404],
  ['/absolute.txt', 404],
  ['/chain.txt', 404],
  ['/out/secret.txt', 404],
  ['/out/index.html', 404],
  ['/sub/sibling/secret.txt', 404],
  ['/sub/root/etc/passwd', 404],
  ['/proc/status', 404],
  ['/.env', 404],
  ['/%2eenv', 404],
  ['/.git/config', 404],
  ['/sub/.htpasswd', 404],
  ['/sub/.well-known/x', 404],
  ['/../secret.txt', 403],
  ['/..%2fsecret.txt', 403],
  ['/%2e%2e/secret.txt', 403],
  ['/sub/../../secret.txt', 403],
  ['/..\\secret.txt', 403],
  ['/a.txt%00', 400],
  ['/%00', 400],
  ['/%c0%ae%c0%ae/secret.txt', 400],
  ['/%zz', 400],
  ['/A.TXT', 404],
  ['nonsense', 400],
  ['file:///etc/passwd', 400],
])('GET %s is answered with %i', async (target, status) => {
  using client = await connect(server.url);
  const response = await client.ask(`GET ${target}`, { accept: 'image/png' });
  expect(response.status).toBe(status);
  expect(response.body).not.toContain(secret);
});

/** The clients send at the same time. */
const clients = 8;

test.each([1000])('%i generated paths show nothing from outside, and none is a 500', play);
test.each([20_000])('%i generated paths do neither', { tags: 'long' }, play);

async function play(count: number): Promise<void> {
  const random = randomOf(newSeed('traversal'));
  const statuses = new Map<number, number>();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      let client = await connect(server.url);
      for (let i = 0; i < count / clients; i++) {
        const line = `${random.chance(0.9) ? 'GET' : 'HEAD'} ${targetFrom(random)}`;
        const fields: Record<string, string> = random.chance(0.3)
          ? { accept: 'text/html', 'accept-encoding': 'br' }
          : {};
        const response = await client.ask(line, fields).catch((error: Error) => {
          throw new Error(`no response to ${JSON.stringify(line)}: ${error.message}`);
        });
        checkResponse(line, response);
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        if (response.headers.connection !== 'close') continue;
        client.close();
        client = await connect(server.url);
      }
      client.close();
    }),
  );
  // The paths are not all refused for the same reason.
  for (const status of [200, 400, 403, 404])
    expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(count / 200);
  expect(server.errors()).toEqual([]);
}

function checkResponse(line: string, { status, body, headers }: Response): void {
  expect(body.includes(secret), line).toBe(false);
  expect(/root:x:0|MPSERVE_TEST_MARK/.test(body), line).toBe(false);
  expect([200, 301, 400, 403, 404].includes(status), `${line}: ${status}`).toBe(true);
  expect(headers.location?.startsWith('//') ?? false, line).toBe(false);
}
