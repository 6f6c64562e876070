// `mpserve completion`, and the hidden call by which the script that it prints asks for completions.
import { type CommandLine, completions, printCompletionScript } from '../config/help.js';
import { oneOf } from '../config/kind.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Call } from './commands.js';

const shells = ['bash', 'zsh', 'fish'];

export async function printCompletion({ words: [shell], line }: Call): Promise<number> {
  if (shell !== undefined && !shells.includes(shell)) {
    throw new StartupError(ExitCode.config, `the shell must be ${oneOf(shells)}, not '${shell}'`);
  }
  printCompletionScript(line, shell);
  return 0;
}

/** `words` is the line typed so far, from the name of the program to the word at the cursor. */
export async function complete(line: CommandLine, words: readonly string[]): Promise<number> {
  console.log((await completions(line, words)).join('\n'));
  return 0;
}
