// `mpserve completion`, and the hidden flag with which the printed script asks for completions.
import { type CommandLine, completions, printCompletionScript } from '../config/help.js';
import { oneOf } from '../config/kind.js';
import { configError } from '../errors.js';
import type { Call } from './call.js';

const shells = ['bash', 'zsh', 'fish'];

export async function printCompletion({ positionals: [shell], line }: Call): Promise<number> {
  if (shell !== undefined && !shells.includes(shell)) {
    throw configError(`the shell must be ${oneOf(shells)}, not '${shell}'`);
  }
  printCompletionScript(line, shell);
  return 0;
}

/** @param words the line typed up to the cursor; the first is the name of the program */
export async function complete(line: CommandLine, words: readonly string[]): Promise<number> {
  console.log((await completions(line, words)).join('\n'));
  return 0;
}
