// Prints an error or a warning of the command line, which has no log, as one line on standard error.
import { escapeControls } from '../log/escape.js';

/** Prints `mpserve: <message>`, followed by the stack of `error` and of its cause if there is an error. */
export function printError(message: string, error?: Error): void {
  const lines = [`mpserve: ${escapeControls(message)}`];
  if (error?.stack) lines.push(error.stack.slice(error.stack.indexOf('\n    at ') + 1));
  if (error?.cause instanceof Error) lines.push(`caused by ${error.cause.stack}`);
  console.error(lines.join('\n'));
}
