// What the command line has to say when it cannot log: one line on standard error.
import { escapeControls } from '../log/escape.js';

/** Prints `message` after `mpserve: `, and then, of `error`, the stacks of it and its cause. */
export function complain(message: string, error?: Error): void {
  const lines = [`mpserve: ${escapeControls(message)}`];
  if (error?.stack) lines.push(error.stack.slice(error.stack.indexOf('\n    at ') + 1));
  if (error?.cause instanceof Error) lines.push(`caused by ${error.cause.stack}`);
  console.error(lines.join('\n'));
}
