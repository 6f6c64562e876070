// Loads the user's file the way `node FILE` would, at the least cost: `require` where it will do, because the ES
// module loader takes 20 ms to start, which a process that serves one connection pays on every connection.
// Judges nothing of what comes back.
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

type Format = 'commonjs' | 'module' | 'unknown';

const FORMAT_BY_EXTENSION: Readonly<Record<string, Format>> = {
  '.cjs': 'commonjs',
  '.cts': 'commonjs',
  '.mjs': 'module',
  '.mts': 'module',
};

/** `require` refuses these, `import()` takes them: Node says so only once it has read the file. */
const IS_A_MODULE_CODES = new Set(['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE']);
/** What the SyntaxError of an ES module in a CommonJS file says. */
export const IS_A_MODULE_SYNTAX = /^(Cannot use import statement outside a module|Unexpected token 'export')/;

/**
 * What the file exports: `module.exports`, or the namespace of an ES module. Rejects with whatever the user's
 * code threw. `file` is absolute.
 */
export async function loadUserModule(file: string): Promise<unknown> {
  const format = formatOf(file);
  if (format !== 'module') {
    try {
      return requireAsMain(file);
    } catch (error) {
      if (format === 'commonjs' || !saysItIsAModule(error, file)) throw error;
    }
  }
  delete process.mainModule; // an ES module is none
  return import(pathToFileURL(file).href);
}

/**
 * `require`, but `require.main === module` and `module.parent` is null in the file, as `node FILE` has it: many a
 * server listens only then. Node's own way to that, `Module._load(file, null, true)`, would load an ES module out
 * of our hands: it returns an empty object and, if that fails, ends the process.
 */
function requireAsMain(file: string): unknown {
  const require = createRequire(file);
  const name = require.resolve(file); // without symbolic links
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

/** https://nodejs.org/api/packages.html#determining-module-system; `unknown` is left to Node's look at the syntax. */
function formatOf(file: string): Format {
  const byExtension = FORMAT_BY_EXTENSION[path.extname(file)];
  if (byExtension !== undefined) return byExtension;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = readIfThere(path.join(folder, 'package.json'));
    if (manifest !== undefined) return typeIn(manifest);
    if (folder === path.dirname(folder) || path.basename(folder) === 'node_modules') return 'unknown';
  }
}

function typeIn(manifest: string): Format {
  try {
    const { type } = JSON.parse(manifest) as { type?: unknown };
    return type === 'module' || type === 'commonjs' ? type : 'unknown';
  } catch {
    return 'unknown'; // Node words this failure itself, when it loads the file
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function saysItIsAModule(error: unknown, file: string): boolean {
  if (!(error instanceof Error) || error.stack?.includes(`(${file}:`)) return false; // it ran: another file is meant
  if (IS_A_MODULE_CODES.has((error as NodeJS.ErrnoException).code ?? '')) return true;
  return error.name === 'SyntaxError' && IS_A_MODULE_SYNTAX.test(error.message);
}
