// Loads the user's file as `node FILE` does, at the least cost: with `require` if possible, because the ES module
// loader takes 20 ms to start, which a `ppc` child pays on every connection. Does not check the exports.
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readText } from '../os/files.js';

type Format = 'commonjs' | 'module' | 'unknown';

const FORMAT_BY_EXTENSION: Readonly<Record<string, Format>> = {
  '.cjs': 'commonjs',
  '.cts': 'commonjs',
  '.mjs': 'module',
  '.mts': 'module',
};

/** Codes of `require` for a file that only `import()` can load; Node finds that out only after it has read the file. */
const IS_A_MODULE_CODES = new Set(['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE']);
/** Messages of the SyntaxError for ES module syntax in a CommonJS file. */
export const IS_A_MODULE_SYNTAX = /^(Cannot use import statement outside a module|Unexpected token 'export')/;

/**
 * The exports of the file: `module.exports`, or the namespace of an ES module. Rejects with the value that the user's
 * code threw. `file` is absolute.
 */
export async function loadUserModule(file: string): Promise<unknown> {
  const format = formatOf(file);
  if (format !== 'module') {
    try {
      return requireAsMain(file);
    } catch (error) {
      if (format === 'commonjs' || !isModuleError(error, file)) throw error;
    }
  }
  delete process.mainModule; // undefined for an ES module
  return import(pathToFileURL(file).href);
}

/**
 * `require`, with `require.main === module` and `module.parent === null` in the file, as with `node FILE`: many servers
 * listen only then. Node's own function for it, `Module._load(file, null, true)`, does not work for an ES module: it
 * returns an empty object, and ends the process if the module fails.
 */
function requireAsMain(file: string): unknown {
  const require = createRequire(file);
  const name = require.resolve(file); // resolves symbolic links
  const module = new Module(name, null as never) as Module & { load(name: string): void };
  module.id = '.';
  process.mainModule = module;
  require.cache[name] = module;
  try {
    module.load(name);
  } catch (error) {
    delete require.cache[name];
    throw error;
  }
  return module.exports;
}

/** https://nodejs.org/api/packages.html#determining-module-system; for `unknown` Node detects the syntax. */
function formatOf(file: string): Format {
  const byExtension = FORMAT_BY_EXTENSION[path.extname(file)];
  if (byExtension !== undefined) return byExtension;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = readText(path.join(folder, 'package.json'));
    if (manifest !== '') return typeIn(manifest);
    if (folder === path.dirname(folder) || path.basename(folder) === 'node_modules') return 'unknown';
  }
}

function typeIn(manifest: string): Format {
  try {
    const { type } = JSON.parse(manifest) as { type?: unknown };
    return type === 'module' || type === 'commonjs' ? type : 'unknown';
  } catch {
    return 'unknown'; // Node reports this error itself when it loads the file
  }
}

function isModuleError(error: unknown, file: string): boolean {
  // A frame in the file means that it did run, so the error is about another file.
  if (!(error instanceof Error) || error.stack?.includes(`(${file}:`)) return false;
  if (IS_A_MODULE_CODES.has((error as NodeJS.ErrnoException).code ?? '')) return true;
  return error.name === 'SyntaxError' && IS_A_MODULE_SYNTAX.test(error.message);
}
