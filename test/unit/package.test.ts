// The package contains every file that the command, its child processes and its types load, and nothing else of the sources.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.join(import.meta.dirname, '../..');
const { satisfies } = createRequire(import.meta.url)('semver') as {
  satisfies(version: string, range: string): boolean;
};

/** What is loaded by its path: entries of processes and threads, the public API, and files that are read. */
const entries = [
  'bin/mpserve.js',
  'bin/package.json',
  'dist/admin/page/dashboard.css',
  'dist/admin/page/dashboard.js',
  'dist/admin/page/index.html',
  'dist/bench/generator.js',
  'dist/bench/page/browser.js',
  'dist/bench/page/style.css',
  'dist/cli/main.cjs',
  'dist/index.d.ts',
  'dist/index.js',
  'dist/prove/client-pool-entry.js',
  'dist/prove/fault-hook.cjs',
  'dist/worker/process-main.cjs',
  'dist/worker/thread-main.cjs',
];

const relative = /(?:\bfrom\s*|\brequire\(|\bimport\(\s*)['"](\.[^'"]+)['"]/g;

/** All files that are loaded, sooner or later, from `files`. */
function loadedFrom(files: readonly string[]): string[] {
  const loaded = new Set(files);
  for (const file of loaded) {
    if (!/\.(c?js|ts)$/.test(file)) continue;
    for (const [, name = ''] of readFileSync(path.join(root, file), 'utf8').matchAll(relative)) {
      const target = path.join(path.dirname(file), name);
      const declaration = target.replace(/\.js$/, '.d.ts');
      if (file.endsWith('.d.ts') && existsSync(path.join(root, declaration))) loaded.add(declaration);
      else if (existsSync(path.join(root, target))) loaded.add(target);
    }
  }
  return [...loaded];
}

test('the package contains what the command loads, and no source', () => {
  const listing = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ files }] = JSON.parse(listing) as [{ files: { path: string }[] }];
  const packed = files.map((file) => file.path);
  expect(loadedFrom(entries).filter((file) => !packed.includes(file))).toEqual([]);
  expect(packed.filter((file) => /^(src|test|docs|bench|scripts|\.)/.test(file))).toEqual([]);
});

// npm warns of such a package (EBADENGINE).
test.each(['20.19.0', '20.20.2', '24.0.0', '26.0.0'])('no package that npm ci installs refuses Node %s', (version) => {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { engines?: { node?: string } }>;
  };
  const refusing = Object.entries(packages).filter(([, { engines }]) => !satisfies(version, engines?.node ?? '*'));
  expect(refusing.map(([name, { engines }]) => `${name} needs ${engines?.node}`)).toEqual([]);
});
