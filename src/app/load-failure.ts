// Words why the user's app did not load: one line with its own error, the line of its file, and what to do.
// Imported only when that has happened.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { ExitCode, StartupError } from '../errors.js';
import { IS_A_MODULE_SYNTAX } from './user-module.js';

const OURS = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', path.sep);
const LINK_TIMEOUT_MS = 5_000;
const LONGEST_MESSAGE = 500;
const TSX = 'compile it, or install tsx and pass --node-arg=--import=tsx';

interface Place {
  readonly file: string;
  /** `12` or `12:3`; undefined where only the file is known. */
  readonly position?: string | undefined;
}

/** What to do about an error; the first row that fits. `undefined` says nothing. */
const ADVICE: readonly ((error: NodeJS.ErrnoException, file: string) => string | undefined)[] = [
  (error) =>
    missingPackage(error) === undefined ? undefined : `run "npm install" in the app's folder, or add the package to it`,
  (error, file) => {
    const typescript =
      error.code === 'ERR_UNKNOWN_FILE_EXTENSION' ? /\.[cm]?tsx?/.test(error.message) : isTypeScript(file);
    const strips = Boolean((process.features as { typescript?: unknown }).typescript);
    const refused = error.code === 'ERR_UNKNOWN_FILE_EXTENSION' || error.name === 'SyntaxError';
    return typescript && !strips && refused ? `Node 22.18 or newer runs TypeScript as it is; here, ${TSX}` : undefined;
  },
  (error) =>
    IS_A_MODULE_SYNTAX.test(error.message) ? 'name it .mjs, or put "type": "module" into its package.json' : undefined,
  (error) => (error.code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' ? `Node only strips types; ${TSX}` : undefined),
];

/** `thrown` is whatever the user's code threw, not necessarily an Error; it becomes the cause. */
export function loadFailure(file: string, thrown: unknown): StartupError {
  const cause = { cause: thrown };
  if (!(thrown instanceof Error)) {
    return new StartupError(
      ExitCode.app,
      `the app ${file} failed to load: it threw ${oneLine(inspect(thrown))}`,
      cause,
    );
  }
  const place = placeOf(thrown, file);
  const where = place === undefined ? '' : ` (${[place.file, place.position].filter(Boolean).join(':')})`;
  const advice = ADVICE.map((row) => row(thrown, file)).find((say) => say !== undefined);
  const message = `the app ${file} failed to load: ${thrown.name}: ${oneLine(thrown.message)}${where}`;
  return new StartupError(ExitCode.app, advice === undefined ? message : `${message}; ${advice}`, cause);
}

function placeOf(error: Error, file: string): Place | undefined {
  const stack = error.stack ?? '';
  return (
    placeInHead(stack) ??
    placeInFrames(stack) ??
    placeOfImport(error) ??
    (error.name === 'SyntaxError' ? placeFromLinking(file) : undefined)
  );
}

/** Syntax errors of CommonJS, and imports of names that are not exported, begin with `FILE:LINE`. */
function placeInHead(text: string): Place | undefined {
  const [, file, line] = /^((?:file:\/\/)?\/.*):(\d+)$/m.exec(text.split('\n', 1)[0] ?? '') ?? [];
  return file === undefined ? undefined : { file: toPath(file), position: line };
}

/** The innermost frame of the app's own code; of a package that it uses only if there is no other. */
function placeInFrames(stack: string): Place | undefined {
  const frames = [...stack.matchAll(/^ +at (?:.*\()?((?:file:\/\/)?\/[^()]*?):(\d+:\d+)\)?$/gm)]
    .map(([, file = '', position]) => ({ file: toPath(file), position }))
    .filter(({ file }) => !file.startsWith(OURS));
  return frames.find(({ file }) => !file.includes(`${path.sep}node_modules${path.sep}`)) ?? frames[0];
}

/** An ES module's import that is not found: Node tells the two files and not the line, so look for it. */
function placeOfImport(error: NodeJS.ErrnoException): Place | undefined {
  const [, wanted, importer] = /^Cannot find (?:package|module) '(.*?)' imported from (.*)$/m.exec(error.message) ?? [];
  if (wanted === undefined || importer === undefined) return undefined;
  const file = toPath(importer);
  const name = path.basename(wanted);
  const index = readLines(file).findIndex((line) => /['"]/.test(line) && line.includes(name));
  return { file, position: index === -1 ? undefined : String(index + 1) };
}

/**
 * A syntax error in an ES module carries no place; Node prints it only when it dies of it. So a child links the
 * app once more. Linking runs no code of the app, and if it succeeds, then the first module to run ends the child.
 */
function placeFromLinking(file: string): Place | undefined {
  const source = `import 'data:text/javascript,process.exit(0)'; import ${JSON.stringify(pathToFileURL(file).href)};`;
  const child = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '--eval', source], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: LINK_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  return placeInHead(child.stderr ?? '');
}

/** The bare name of a package that is not installed; a path that does not exist is another matter. */
function missingPackage({ code, message }: NodeJS.ErrnoException): string | undefined {
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined;
  const [, name] = /^Cannot find (?:package|module) '(.*?)'/.exec(message) ?? [];
  return name === undefined || /^(\.|\/|file:)/.test(name) ? undefined : name;
}

function oneLine(text: string): string {
  const line = text
    .replace(/\nRequire stack:.*$/s, '')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function isTypeScript(file: string): boolean {
  return /\.[cm]?tsx?$/.test(file);
}

function toPath(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}
