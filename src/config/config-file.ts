// The user's configuration file: finds it, loads it, and makes sure that it is an object. Judges no key or value.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ExitCode, StartupError } from '../errors.js';

const extensions = ['.js', '.mjs', '.cjs', '.json'];

/** `mpserve.config.*` in a directory, if there is one. Throws a `StartupError` if there are several. */
export function findConfigFile(directory: string): string | undefined {
  const found = extensions
    .map((extension) => path.join(directory, `mpserve.config${extension}`))
    .filter((file) => existsSync(file));
  if (found.length > 1) throw wrong(`there are several configuration files: ${found.join(', ')}; choose with --config`);
  return found[0];
}

/**
 * The object that the file holds, exports, or exports a function for. `origin` says who named the file.
 * Throws a `StartupError` that names the file, and the line of an error in it.
 */
export async function readConfigFile(file: string, origin: string): Promise<Readonly<Record<string, unknown>>> {
  const extension = path.extname(file);
  if (!extensions.includes(extension)) {
    throw wrong(`the configuration file ${file} (${origin}) must end in ${extensions.join(', ')}`);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as Error).message.replace(/, \w+( '.*')?$/s, '');
    throw wrong(`cannot read the configuration file ${file} (${origin}): ${reason}`, error);
  }
  const content = await (extension === '.json' ? parseJson(file, text) : load(file));
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    const must =
      extension === '.json' ? 'hold an object' : 'export an object, or a function that returns one, as default';
    throw wrong(`${file} must ${must}, not ${describe(content)}`);
  }
  return content as Record<string, unknown>;
}

async function parseJson(file: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { locateJsonError } = await import('./error-location.js');
    throw wrong(`${locateJsonError(error, file, text)}: ${(error as Error).message}`, error);
  }
}

async function load(file: string): Promise<unknown> {
  try {
    const { default: exported } = (await import(asNew(file))) as { default?: unknown };
    return typeof exported === 'function' ? await exported() : exported;
  } catch (error) {
    const { locateModuleError } = await import('./error-location.js');
    throw wrong(`${locateModuleError(error, file)}: ${error instanceof Error ? error : `threw ${error}`}`, error);
  }
}

/** How often each file has been loaded. */
const loads = new Map<string, number>();

/** What to import so that a file which has been loaded before is read again. */
function asNew(file: string): string {
  const nth = loads.get(file) ?? 0;
  loads.set(file, nth + 1);
  const url = pathToFileURL(file);
  if (nth === 0) return url.href;
  delete createRequire(url).cache[realpathSync(file)]; // of CommonJS, which goes by the name of the file
  url.search = `?load=${nth}`; // of ES modules
  return url.href;
}

function describe(content: unknown): string {
  if (content === undefined) return 'nothing';
  return Array.isArray(content) ? 'a list' : String(content === null ? 'null' : typeof content);
}

function wrong(message: string, cause?: unknown): StartupError {
  return new StartupError(ExitCode.config, message, { cause });
}
