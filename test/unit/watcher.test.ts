// Watcher reports a file that has changed, once for changes that follow each other, and nothing else.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deferred } from '../../src/deferred.ts';
import { Watcher } from '../../src/supervisor/watcher.ts';
import { eventually } from '../helpers/eventually.ts';

let folder: string;
let ended: AbortController;
/** What the watcher has reported, relative to `folder`. */
let changes: string[];
let onChange: () => Promise<void>;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-watch-'));
  ended = new AbortController();
  changes = [];
  onChange = async () => {};
});
afterEach(() => {
  ended.abort();
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => path.join(folder, name);
function put(name: string, text: string): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
}

function watch(paths: readonly string[] = ['.'], ownFiles: readonly string[] = []): void {
  new Watcher({
    paths: paths.map(at),
    source: '--watch',
    ownFiles: ownFiles.map(at),
    signal: ended.signal,
    onChange: (file) => {
      changes.push(path.relative(folder, file));
      return onChange();
    },
    onFailure: (reason) => changes.push(reason),
  }).start();
}

/** Changes the file, and expects exactly these reports: what was done before it was ignored. */
async function expectThen(...names: readonly string[]): Promise<void> {
  const last = names.at(-1) as string;
  put(last, `${performance.now()}`);
  await eventually('the change', () => changes.length === names.length);
  expect(changes).toEqual(names);
}

test('a file that is written, created, replaced, moved or removed, at any depth', async () => {
  put('a.js', '1');
  put('lib/deep/b.js', '1');
  watch();
  await expectThen('a.js');
  await expectThen('a.js', 'lib/deep/b.js');
  put('c.js', 'new');
  await eventually('the new file', () => changes.length === 3);
  put('d.js~', 'as editors save');
  renameSync(at('d.js~'), at('c.js'));
  await eventually('the file that was replaced', () => changes.length === 4);
  rmSync(at('c.js'));
  await eventually('the file that was removed', () => changes.length === 5);
  renameSync(at('lib/deep/b.js'), at('lib/moved.js'));
  await eventually('the file that was moved', () => changes.length === 6);
  expect(changes.slice(2, 5)).toEqual(['c.js', 'c.js', 'c.js']);
  expect(changes[5]).toMatch(/^lib\/(deep\/b|moved)\.js$/);
});

test('directories that are created and removed later', async () => {
  watch();
  put('later/more/a.js', '1');
  await eventually('the directory', () => changes.length === 1);
  await expectThen('later/more/a.js', 'later/more/a.js');
  rmSync(at('later'), { recursive: true });
  await eventually('the removal', () => changes.length === 3);
});

test('a directory that a compiler removes and creates again, also one that was named', async () => {
  put('dist/a.js', '1');
  put('dist/sub/b.js', '1');
  watch(['dist']);
  for (let i = 1; i <= 3; i++) {
    rmSync(at('dist'), { recursive: true });
    put('dist/a.js', `${i}`);
    put('dist/sub/b.js', `${i}`);
    await eventually('the new files', () => changes.length > 0);
    changes.length = 0;
    await expectThen('dist/sub/b.js');
    changes.length = 0;
  }
});

test('a file that was named, and not those beside it', async () => {
  put('a.js', '1');
  put('b.js', '1');
  watch(['a.js']);
  put('b.js', '2');
  await expectThen('a.js');
});

test('not node_modules, .git, logs, files of editors and files of the server', async () => {
  put('node_modules/x/index.js', '1');
  put('.git/HEAD', '1');
  put('lib/a.js', '1');
  watch(['.'], ['run/app.pid']);
  put('node_modules/x/index.js', '2');
  put('lib/node_modules/y.js', '2');
  put('.git/HEAD', '2');
  put('access.log', '2');
  put('lib/.a.js.swp', '2');
  put('lib/a.js~', '2');
  put('run/app.pid', '2');
  put('run/app.pid.77', '2');
  await expectThen('lib/a.js');
});

test('not a file that is only read, or that comes and goes', async () => {
  put('a.js', '1');
  watch();
  readFileSync(at('a.js'));
  put('temporary', '1');
  rmSync(at('temporary'));
  mkdirSync(at('empty'));
  await expectThen('a.js');
  utimesSync(at('a.js'), new Date(0), new Date(0));
  await eventually('the time', () => changes.length === 2);
});

test('a link to a directory that contains it is not followed', async () => {
  put('lib/a.js', '1');
  symlinkSync('..', at('lib/up'));
  watch();
  await expectThen('lib/a.js');
});

test('many changes are one, and those during the reaction to it are another', async () => {
  const reaction = deferred<void>();
  onChange = () => reaction.promise;
  watch();
  for (let i = 0; i < 50; i++) put(`f${i}.js`, '1');
  await eventually('the first change', () => changes.length === 1);
  put('during.js', '1');
  put('during.js', '22');
  onChange = async () => {};
  reaction.resolve();
  await eventually('the second change', () => changes.length === 2);
  expect(changes[1]).toBe('during.js');
  await expectThen(changes[0] as string, 'during.js', 'after.js');
});

test('nothing is reported after the end', async () => {
  watch();
  put('a.js', '1');
  ended.abort();
  const other = new AbortController();
  const seen: string[] = [];
  new Watcher({
    paths: [folder],
    source: '--watch',
    ownFiles: [],
    signal: other.signal,
    onChange: async (file) => void seen.push(file),
    onFailure: () => {},
  }).start();
  put('b.js', '1');
  await eventually('the other watcher', () => seen.length > 0);
  other.abort();
  expect(changes).toEqual([]);
});

test('a path that does not exist is refused', () => {
  expect(() => watch(['gone'])).toThrow(`--watch names no file or directory: '${at('gone')}'`);
});
