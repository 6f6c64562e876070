// Files that change while they are served: a client gets a whole version, or a connection that is cut. Never bytes of two
// versions with the length of one.
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { newSeed, randomOf } from '../helpers/seeds.ts';
import { connect } from '../helpers/wire.ts';
import { ask, type FileServer, Folder, serveFolder } from './site.ts';

/** More than sockets and the server's buffers hold. */
const hugeSize = 24 * 1024 * 1024;

let folder: Folder;
let server: FileServer;
beforeAll(async () => {
  folder = new Folder({ 'index.html': '' });
  server = await serveFolder(folder);
});
afterAll(async () => {
  await server.stop();
  folder[Symbol.dispose]();
});

describe.concurrent('a client that has not read all of a large file', () => {
  const cases: readonly (readonly [string, 'whole' | 'cut', (file: string) => void])[] = [
    ['gets the old version when the file is deleted', 'whole', (file) => rmSync(file)],
    [
      'gets the old version when the file is replaced',
      'whole',
      (file) => {
        writeFileSync(`${file}.new`, Buffer.alloc(hugeSize, 'b'));
        renameSync(`${file}.new`, file);
      },
    ],
    ['is cut off when the file is truncated', 'cut', (file) => truncateSync(file, 1024 * 1024)],
    ['is cut off when the file is truncated by its last byte', 'cut', (file) => truncateSync(file, hugeSize - 1)],
    ['is cut off when the file is emptied', 'cut', (file) => truncateSync(file, 0)],
    [
      'is cut off when a byte at the end is written',
      'cut',
      (file) => {
        const fd = openSync(file, 'r+');
        writeSync(fd, 'b', hugeSize - 1);
        closeSync(fd);
      },
    ],
    ['is cut off when the file is written anew', 'cut', (file) => writeFileSync(file, Buffer.alloc(hugeSize, 'b'))],
  ];
  test.each(cases)('%s', async (title, outcome, change) => {
    const name = `${title.replaceAll(' ', '-')}.bin`;
    folder.put(name, Buffer.alloc(hugeSize, 'a'));
    using client = await connect(server.url);
    await client.request(`GET /${name}`);
    const { status, headers } = await client.head();
    expect([status, headers['content-length']]).toEqual([200, String(hugeSize)]);
    const first = await client.take(1000);
    change(folder.path(name));
    let length = first.length;
    for (;;) {
      const bytes = await client.take(Math.min(1 << 16, hugeSize - length)).catch(() => client.rest());
      length += bytes.length;
      if (outcome === 'whole') expect(bytes.equals(Buffer.alloc(bytes.length, 'a'))).toBe(true);
      if (bytes.length === 0 || length === hugeSize) break;
    }
    if (outcome === 'whole') expect(length).toBe(hugeSize);
    else expect(length).toBeLessThan(hugeSize);
  });
});

test('clients that go away in the middle leave no descriptor open', async () => {
  folder.put('aborted.bin', Buffer.alloc(hugeSize, 'a'));
  const [worker = 0] = server.workers();
  const open = () =>
    readdirSync(`/proc/${worker}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${worker}/fd/${fd}`).endsWith('aborted.bin');
      } catch {
        return false; // it has been closed
      }
    }).length;
  for (let i = 0; i < 20; i++) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(server.url)));
    for (const client of clients) {
      await client.request('GET /aborted.bin');
      await client.take(1000);
    }
    if (i === 0) expect(open()).toBeGreaterThan(0);
    for (const client of clients) client.close();
  }
  await eventually('the descriptors to be closed', () => open() === 0);
});

test('a range of one read that changes is read again, not cut', async () => {
  folder.put('range.bin', Buffer.alloc(1_000_000, 'a'));
  expect((await ask(server.url, 'GET /range.bin', { range: 'bytes=-10' })).body).toBe('aaaaaaaaaa');
  folder.put('range.bin', Buffer.alloc(1_000_001, 'b'), new Date());
  expect(await ask(server.url, 'GET /range.bin', { range: 'bytes=-10' })).toMatchObject({
    status: 206,
    body: 'bbbbbbbbbb',
    headers: { 'content-range': 'bytes 999991-1000000/1000001' },
  });
});

/** Each version is of one letter, and each letter has a size. */
const letters = 'abcdefgh';
const sizes = {
  small: (letter: string) => 20_000 + letters.indexOf(letter) * 7,
  large: (letter: string) => 900_000 + letters.indexOf(letter) * 100_003,
  'of one size': () => 50_000,
};

test.each(Object.entries(sizes))(
  'a file (%s) that changes all the time is always one version',
  async (kind, sizeOf) => {
    const random = randomOf(newSeed('changes'));
    const name = `${kind.replaceAll(' ', '-')}.txt`;
    const write = (): void => {
      const letter = random.pick([...letters]);
      const content = Buffer.alloc(sizeOf(letter), letter);
      const isReplaced = random.chance(0.5);
      writeFileSync(folder.path(isReplaced ? `${name}.new` : name), content);
      if (isReplaced) renameSync(folder.path(`${name}.new`), folder.path(name));
    };
    write();
    const outcomes = { whole: 0, cut: 0, busy: 0 };
    const seen = new Set<string>();
    const fetchAll = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const response = await ask(server.url, `GET /${name}`).catch(() => undefined);
        if (!response) outcomes.cut++;
        else if (response.status === 503) outcomes.busy++;
        else {
          const { status, body } = response;
          expect(status).toBe(200);
          const [letter = ''] = body;
          expect(body === letter.repeat(sizeOf(letter)), `${letter} and others, ${body.length} bytes`).toBe(true);
          seen.add(letter);
          outcomes.whole++;
        }
      }
    };
    const timer = setInterval(write, 3);
    try {
      await Promise.all([fetchAll(100), fetchAll(100), fetchAll(100), fetchAll(100)]);
      // What stays in memory is another version at some time.
      await eventually('several versions', async () => {
        await fetchAll(5);
        return seen.size >= 3;
      });
    } finally {
      clearInterval(timer);
    }
    expect(outcomes.whole).toBeGreaterThan(0);
    // When nothing changes any more, the last version is served, also if it has the time of the one before.
    write();
    const last = await eventually('the last version', async () => {
      const before = await ask(server.url, `GET /${name}`);
      return before.headers.etag !== undefined && before.body === readNow(name) && before;
    });
    expect(last.status).toBe(200);
  },
);

function readNow(name: string): string {
  return readFileSync(folder.path(name), 'latin1');
}

test('a new, a changed and a deleted file are served as they are within a second or so', async () => {
  const get = () => ask(server.url, 'GET /page.txt');
  expect((await get()).status).toBe(404);
  folder.put('page.txt', 'one');
  await eventually('the new file', async () => (await get()).body === 'one');
  folder.put('page.txt', 'two', new Date());
  await eventually('the changed file', async () => (await get()).body === 'two');
  rmSync(folder.path('page.txt'));
  await eventually('the end of the file', async () => (await get()).status === 404);
});

test('a compressed file beside another is found, and missed, in the same way', async () => {
  const get = async () => (await ask(server.url, 'GET /beside.css', { 'accept-encoding': 'br' })).body;
  folder.put('beside.css', 'plain');
  expect(await get()).toBe('plain');
  folder.put('beside.css.br', 'compressed');
  await eventually('the compressed file', async () => (await get()) === 'compressed');
  rmSync(folder.path('beside.css.br'));
  await eventually('the end of the compressed file', async () => (await get()) === 'plain');
});

test('a directory that goes, is a file, and comes back', async () => {
  folder.put('gone/page.txt', 'here');
  const get = () => ask(server.url, 'GET /gone/page.txt');
  expect((await get()).body).toBe('here');
  renameSync(folder.root, `${folder.root}-away`);
  await eventually('the directory to be missed', async () => (await get()).status === 404);
  writeFileSync(folder.root, 'a file');
  expect((await ask(server.url, 'GET /gone/other.txt')).status).toBe(404);
  rmSync(folder.root);
  renameSync(`${folder.root}-away`, folder.root);
  await eventually('the directory to be back', async () => (await get()).body === 'here');
  expect(server.errors().filter(({ url }) => String(url).startsWith('/gone/'))).toEqual([]);
});
