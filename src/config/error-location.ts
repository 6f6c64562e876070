// Where in the user's own file something is wrong: the line of an error in a module or in JSON. Slow, because it
// runs only when a start has failed.
import { spawnSync } from 'node:child_process';

/** `FILE:LINE` where `error`, thrown while `file` was loaded, says or shows the line; else `FILE`. */
export function locateModuleError(error: unknown, file: string): string {
  // Node keeps the place of an ES module's SyntaxError to itself, but prints it when it checks the file.
  const shown =
    lineIn(error instanceof Error ? error.stack : undefined, file) ??
    (error instanceof SyntaxError
      ? lineIn(spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5_000 }).stderr, file)
      : undefined);
  return shown === undefined ? file : `${file}:${shown}`;
}

/** The same for a text that `JSON.parse` refused with `error`. */
export function locateJsonError(error: unknown, file: string, text: string): string {
  const said = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
  const position = said === undefined ? firstUnexpected(text) : Number(said);
  return `${file}:${text.slice(0, position).split('\n').length}`;
}

function lineIn(text: string | undefined, file: string): string | undefined {
  const at = text?.indexOf(`${file}:`) ?? -1;
  return at < 0 ? undefined : /^\d+/.exec(text?.slice(at + file.length + 1) ?? '')?.[0];
}

/**
 * Some of V8's messages lack the position. Any text that reaches as far as the token that nobody expected fails with
 * the same message, any shorter one with another, so the token is found by halving.
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
