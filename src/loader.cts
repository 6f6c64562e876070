// The first file of a process or thread: runs the code that the build has put beside it, and what that requires, with the
// functions that V8 has compiled in an earlier run and that are kept beside each file (decision 28).
// V8 refuses what another version of it has compiled, or the same with other flags, and compiles the text then.
import fs = require('node:fs');
import path = require('node:path');
import vm = require('node:vm');

/** What runs with it keeps what it has compiled: the build does, to fill the caches. */
const fills = process.env._MPSERVE_FILL_CACHES !== undefined;
const root = path.join(__dirname, 'ROOT');
const loaded = new Map<string, { exports: object }>();
const scripts = new Map<string, vm.Script>();
if (fills) process.once('exit', () => scripts.forEach(keep));

function load(file: string): object {
  const before = loaded.get(file);
  if (before) return before.exports;
  const text = `(function (exports, require, module, __filename, __dirname, $import) {${read(file)}\n})`;
  const script = new vm.Script(text, { filename: file, cachedData: cacheOf(file) });
  if (fills) scripts.set(file, script);
  const loading = { exports: {} };
  loaded.set(file, loading);
  script.runInThisContext()(loading.exports, requireFor, loading, file, __dirname, $import);
  return loading.exports;
}

/** All are in one directory; whatever else they require is Node's or a package. */
function requireFor(id: string): unknown {
  if (!id.startsWith('./')) return require(id);
  const file = path.join(__dirname, id);
  return load(file === __filename ? root : file);
}

/** The build has them call it, as code of `vm` cannot import. */
function $import(specifier: string): Promise<unknown> {
  return import(specifier);
}

/** The build leaves nothing but ASCII in them. */
function read(file: string): string {
  return fs.readFileSync(file, 'latin1');
}

function cacheOf(file: string): Buffer | undefined {
  try {
    return fs.readFileSync(`${file}.cache`);
  } catch {
    return undefined; // the code may be on a machine that has not built it
  }
}

/** Several processes and threads may do so at a time. */
function keep(script: vm.Script, file: string): void {
  const { threadId } = require('node:worker_threads') as typeof import('node:worker_threads');
  const part = `${file}.${process.pid}.${threadId}`;
  fs.writeFileSync(part, script.createCachedData());
  fs.renameSync(part, `${file}.cache`);
}

export = load(root);
