// Finds the line of an error in the user's file, a module or JSON. May be slow: it runs only after a start has failed.
import { spawnSync } from 'node:child_process';

/** `FILE:LINE` of an `error` that was thrown while `file` was loaded; `FILE` if the line is unknown. */
export function locateModuleError(error: unknown, file: string): string {
  // A SyntaxError in an ES module does not have its location, but `node --check` prints it.
  const line =
    lineIn(error instanceof Error ? error.stack : undefined, file) ??
    (error instanceof SyntaxError
      ? lineIn(spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5_000 }).stderr, file)
      : undefined);
  return line === undefined ? file : `${file}:${line}`;
}

/** `FILE:LINE` of an `error` that `JSON.parse` threw for `text`. */
export function locateJsonError(error: unknown, file: string, text: string): string {
  const reported = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
  const position = reported === undefined ? firstUnexpected(text) : Number(reported);
  return `${file}:${text.slice(0, position).split('\n').length}`;
}

function lineIn(text: string | undefined, file: string): string | undefined {
  const at = text?.indexOf(`${file}:`) ?? -1;
  return at < 0 ? undefined : /^\d+/.exec(text?.slice(at + file.length + 1) ?? '')?.[0];
}

/**
 * Some of V8's messages have no position. A prefix of the text that includes the unexpected token fails with the same
 * message, a shorter prefix with another one; so a binary search finds the token.
 */
function firstUnexpected(text: string): number {
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isUnexpectedToken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return good;
}

function isUnexpectedToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return (error as Error).message.startsWith('Unexpected token');
  }
}
