// "Did you mean ...?" for a word in the place of the app that is no app: a mistyped command, the word of another tool for
// a command, or a model.
import { didYouMean } from '../config/nearest.js';
import { ctlCommands } from '../control/protocol.js';

/** What other tools call the command `serve`. */
const otherNames = ['start', 'run'];

/** @param models their names. @returns `; did you mean mpserve COMMAND?`, or an empty string */
export async function suggest(word: string, commands: readonly string[], models: readonly string[]): Promise<string> {
  if (!/^\w+$/.test(word)) return '';
  if (otherNames.includes(word)) return '; did you mean mpserve serve?';
  if (ctlCommands.includes(word)) return `; did you mean mpserve ctl ${word}?`;
  return (await didYouMean(word, commands, 'mpserve ')) || (await didYouMean(word, models, '--model '));
}
