// Finds and loads the user's configuration file, and checks that it holds an object. Does not check keys or values.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { configError } from '../errors.js';

const extensions = ['.js', '.mjs', '.cjs', '.json'];

/** The `mpserve.config.*` of a directory, if it has one. Throws a `StartupError` if it has several. */
export function findConfigFile(directory: string): string | undefined {
  const found = extensions
    .map((extension) => path.join(directory, `mpserve.config${extension}`))
    .filter((file) => existsSync(file));
  if (found.length > 1)
    throw configError(`found several configuration files: ${found.join(', ')}; choose one with --config`);
  return found[0];
}

/**
 * The object in a JSON file, or the default export of a module: an object or a function that returns one. `origin` says
 * which setting named the file, for error messages. Throws a `StartupError` that names the file and the line of the
 * error.
 */
export async function readConfigFile(file: string, origin: string): Promise<Readonly<Record<string, unknown>>> {
  const extension = path.extname(file);
  if (!extensions.includes(extension)) {
    throw configError(`the configuration file ${file} (${origin}) must end in ${extensions.join(', ')}`);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as Error).message.replace(/, \w+( '.*')?$/s, '');
    throw configError(`cannot read the configuration file ${file} (${origin}): ${reason}`, error);
  }
  const content = await (extension === '.json' ? parseJson(file, text) : load(file));
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    const must =
      extension === '.json' ? 'hold an object' : 'export an object, or a function that returns one, as default';
    throw configError(`${file} must ${must}, not ${describe(content)}`);
  }
  return content as Record<string, unknown>;
}

async function parseJson(file: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { locateJsonError } = await import('./error-location.js');
    throw configError(`${locateJsonError(error, file, text)}: ${(error as Error).message}`, error);
  }
}

async function load(file: string): Promise<unknown> {
  try {
    const { default: exported } = (await import(freshUrl(file))) as { default?: unknown };
    return typeof exported === 'function' ? await exported() : exported;
  } catch (error) {
    const { locateModuleError } = await import('./error-location.js');
    throw configError(`${locateModuleError(error, file)}: ${error instanceof Error ? error : `threw ${error}`}`, error);
  }
}

/** How often this process has loaded each file. */
const loadCounts = new Map<string, number>();

/** A URL whose import reads the file again, even if this process has loaded it before. */
function freshUrl(file: string): string {
  const nth = loadCounts.get(file) ?? 0;
  loadCounts.set(file, nth + 1);
  const url = pathToFileURL(file);
  if (nth === 0) return url.href;
  delete createRequire(url).cache[realpathSync(file)]; // the cache of CommonJS modules, whose keys are file names
  url.search = `?load=${nth}`; // the cache of ES modules, whose keys are URLs
  return url.href;
}

function describe(content: unknown): string {
  if (content === undefined) return 'nothing';
  return Array.isArray(content) ? 'a list' : String(content === null ? 'null' : typeof content);
}
