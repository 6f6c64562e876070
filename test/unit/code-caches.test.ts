// What V8 has compiled at the build is used, and does no harm where it is of no use.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../helpers/server.ts';

const dist = path.join(root, 'dist');
const caches = ['cli', 'worker'].flatMap((dir) =>
  readdirSync(path.join(dist, dir)).flatMap((name) => (name.endsWith('.cache') ? [path.join(dist, dir, name)] : [])),
);
/** In a process of its own: other tests set flags of V8, which then refuses all caches. */
const refused = `
const { readFileSync } = require('node:fs');
const refused = process.argv.slice(1).filter((file) => {
  const text = readFileSync(file.replace(/[.]cache$/, ''), 'latin1');
  const source = '(function (exports, require, module, __filename, __dirname, $import) {' + text + '\\n})';
  return new (require('node:vm').Script)(source, { cachedData: readFileSync(file) }).cachedDataRejected;
});
console.log(JSON.stringify(refused));
`;

test('V8 accepts all of them, and the roots and the server have one', () => {
  const printed = execFileSync(process.execPath, ['-e', refused, '--', ...caches], { encoding: 'utf8' });
  expect(JSON.parse(printed)).toEqual([]);
  const names = caches.map((file) => path.basename(file).replace(/-[\w-]{8}\.cjs\.cache$/, ''));
  expect(names).toEqual(expect.arrayContaining(['main', 'serve', 'ctl', 'process-main', 'thread-main', 'thread-host']));
});

test.each([
  ['are missing', (file: string) => rmSync(file)],
  ['are empty', (file: string) => writeFileSync(file, '')],
  ['are of another V8', (file: string) => writeFileSync(file, readFileSync(file).fill(7, 4, 16))],
  ['were cut off', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 1000))],
])('the command runs where they %s', (_, spoil) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-caches-'));
  try {
    for (const name of ['package.json', 'bin', 'dist/cli']) {
      cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    }
    for (const name of readdirSync(path.join(folder, 'dist/cli'))) {
      if (name.endsWith('.cache')) spoil(path.join(folder, 'dist/cli', name));
    }
    const command = path.join(folder, 'bin/mpserve.js');
    expect(execFileSync(process.execPath, [command, '--version'], { encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('none is written without being asked for', () => {
  const files = new Set(readdirSync(path.join(dist, 'cli')));
  execFileSync(process.execPath, [path.join(root, 'bin/mpserve.js'), 'completion', 'bash']);
  expect(new Set(readdirSync(path.join(dist, 'cli')))).toEqual(files);
  expect(existsSync(path.join(dist, 'loader.cjs'))).toBe(true);
});
