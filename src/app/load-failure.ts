// Describes why the user's app failed to load: one line with the app's own error, the file and line of the error, and
// advice. Imported only after a failure.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { ExitCode, StartupError } from '../errors.js';
import { readText } from '../os/files.js';
import { IS_A_MODULE_SYNTAX } from './user-module.js';

const MPSERVE_DIRECTORY = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', path.sep);
const LINK_TIMEOUT_MS = 5_000;
const MAX_MESSAGE_LENGTH = 500;
const TSX_ADVICE = 'compile it, or install tsx and pass --node-arg=--import=tsx';

/** The error for a failed load. `thrown` is the value that the user's code threw, of any type; it becomes the cause. */
export function loadFailure(file: string, thrown: unknown): StartupError {
  const reason = thrown instanceof Error ? describe(thrown, file) : `it threw ${oneLine(inspect(thrown))}`;
  return new StartupError(ExitCode.app, `the app ${file} failed to load: ${reason}`, { cause: thrown });
}

function describe(error: Error, file: string): string {
  const location = locate(error, file);
  const where = location === undefined ? '' : ` (${location})`;
  const advice = adviceFor(error, file);
  return `${error.name}: ${oneLine(error.message)}${where}${advice === undefined ? '' : `; ${advice}`}`;
}

function adviceFor(error: NodeJS.ErrnoException, file: string): string | undefined {
  const { code, name, message } = error;
  const isUnknown = code === 'ERR_UNKNOWN_FILE_EXTENSION';
  const isTypeScript = isUnknown ? /\.[cm]?tsx?/.test(message) : /\.[cm]?tsx?$/.test(file);
  const strips = Boolean((process.features as { typescript?: unknown }).typescript);
  if (isPackageMissing(error))
    return `run "npm install" in the app's directory, or add the package to its dependencies`;
  if (isTypeScript && !strips && (isUnknown || name === 'SyntaxError'))
    return `Node 22.18 and newer run TypeScript; for this version, ${TSX_ADVICE}`;
  if (IS_A_MODULE_SYNTAX.test(message)) return 'rename it to .mjs, or set "type": "module" in its package.json';
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return `Node only strips types; ${TSX_ADVICE}`;
  if (code === 'ERR_WORKER_UNSUPPORTED_OPERATION')
    return 'a thread cannot do this, because it concerns all threads of the process: use a model whose workers are processes, such as --model prefork';
  return undefined;
}

/** `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`. */
function locate(error: Error, file: string): string | undefined {
  const stack = error.stack ?? '';
  return (
    locateInHead(stack) ??
    locateInFrames(stack) ??
    locateImport(error) ??
    (error.name === 'SyntaxError' ? locateByLinking(file) : undefined)
  );
}

/** The stack of a syntax error in CommonJS, or of an import of a missing name, begins with `FILE:LINE`. */
function locateInHead(text: string): string | undefined {
  const [, file, line] = /^((?:file:\/\/)?\/.*):(\d+)$/m.exec(text.split('\n', 1)[0] ?? '') ?? [];
  return file === undefined ? undefined : `${toPath(file)}:${line}`;
}

/** The innermost frame in the app's own code; if there is none, the innermost frame in a package. */
function locateInFrames(stack: string): string | undefined {
  const frames = [...stack.matchAll(/^ +at (?:.*\()?((?:file:\/\/)?\/[^()]*?):(\d+:\d+)\)?$/gm)]
    .map(([, file = '', position]) => `${toPath(file)}:${position}`)
    .filter((frame) => !frame.startsWith(MPSERVE_DIRECTORY));
  return frames.find((frame) => !frame.includes(`${path.sep}node_modules${path.sep}`)) ?? frames[0];
}

/** A missing import of an ES module: Node's error names both files but not the line, so search for it. */
function locateImport(error: NodeJS.ErrnoException): string | undefined {
  const [, wanted, importer] = /^Cannot find (?:package|module) '(.*?)' imported from (.*)$/m.exec(error.message) ?? [];
  if (wanted === undefined || importer === undefined) return undefined;
  const file = toPath(importer);
  const name = path.basename(wanted);
  const index = readText(file)
    .split('\n')
    .findIndex((line) => /['"]/.test(line) && line.includes(name));
  return index === -1 ? file : `${file}:${index + 1}`;
}

/**
 * A syntax error in an ES module has no location; Node prints it only if the error is uncaught. So a child process
 * links the app again. Linking runs no code of the app, and if it succeeds, the first module to run exits the child.
 */
function locateByLinking(file: string): string | undefined {
  const source = `import 'data:text/javascript,process.exit(0)'; import ${JSON.stringify(pathToFileURL(file).href)};`;
  const child = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '--eval', source], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: LINK_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  return locateInHead(child.stderr ?? '');
}

/** Whether a package is not installed; false for a missing file. */
function isPackageMissing({ code, message }: NodeJS.ErrnoException): boolean {
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return false;
  const [, name] = /^Cannot find (?:package|module) '(.*?)'/.exec(message) ?? [];
  return name !== undefined && !/^(\.|\/|file:)/.test(name);
}

function oneLine(text: string): string {
  const line = text
    .replace(/\nRequire stack:.*$/s, '')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > MAX_MESSAGE_LENGTH ? `${line.slice(0, MAX_MESSAGE_LENGTH)}…` : line;
}

function toPath(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}
