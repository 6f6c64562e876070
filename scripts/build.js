// Builds `dist/`: tsc for every module and its types, then the roots once more with all that they load: those that run
// inside workers as one CommonJS file each, the command line as one and one more for each part of it that is loaded when
// it is needed. Every module costs its loader a third of a millisecond at each start
// (docs/decisions/0002-bundled-worker-entries.md has the figures).
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
/** What an ES module knows of its own place, in CommonJS. */
const define = { 'import.meta.url': '__bundleUrl' };
const banner = "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;";
const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');

// Built aside and put in place at the end: a server that runs from here starts its workers from a whole `dist/`.
const fresh = mkdtempSync(path.join(root, '.dist-'));
try {
  execFileSync(process.execPath, [tsc, '-p', root, '--outDir', fresh], { stdio: 'inherit' });
  const common = {
    absWorkingDir: fresh,
    outbase: '.',
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  };
  await build({
    ...common,
    entryPoints: ['process/entry.js', 'executor/thread-entry.js', 'prove/lure.js'],
    outdir: '.',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    define,
    banner: { js: banner },
  });
  // Beside `cli/main.js`: what it finds by its own place, it must find from there, too. esbuild splits ES modules alone,
  // so each part is turned into CommonJS afterwards.
  const { outputFiles: parts } = await build({
    ...common,
    entryPoints: ['cli/main.js'],
    outdir: '.',
    outExtension: { '.js': '.cjs' },
    chunkNames: 'cli/[name]-[hash]',
    format: 'esm',
    splitting: true,
    write: false,
  });
  for (const { path: file, text } of parts) {
    const { code } = await transform(text, { format: 'cjs', platform: 'node', target: 'node20', define });
    const required = code.replace(/\bimport\(("\.\.?\/[^"]+\.cjs")\)/g, 'Promise.resolve().then(() => require($1))');
    writeFileSync(file, required.includes('__bundleUrl') ? `${banner}\n${required}` : required);
  }
  // What the page of a comparison is made from: not compiled, but shipped.
  for (const file of ['browser.js', 'style.css'])
    copyFileSync(path.join(root, 'src/bench/page', file), path.join(fresh, 'bench/page', file));
  chmodSync(fresh, 0o755); // for whoever runs it, not only for who built it
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  renameSync(fresh, path.join(root, 'dist'));
} catch {
  process.exitCode = 1; // tsc or esbuild has printed why
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
