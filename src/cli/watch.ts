// `mpserve ctl status --watch`: prints what it finds, again each second: in a terminal in the place of the last, elsewhere
// below it. Ends at SIGINT.
import { setTimeout as pause } from 'node:timers/promises';
import { now } from '../clock.js';
import { Unreachable } from '../control/client.js';
import { duration } from '../control/text.js';
import { escapeControls } from '../log/escape.js';

const intervalMs = 1000;

/** @param look finds the text. @throws what the first `look` throws; later it is Unreachable until the server is back */
export async function watch(look: () => Promise<string>): Promise<never> {
  // Not when the look in progress is done, for which a server that does not answer takes seconds.
  process.once('SIGINT', () => process.exit(0));
  process.stdout.on('error', () => process.exit(0)); // its reader has gone, as `head` does
  const print = process.stdout.isTTY ? printInPlace() : printBelow();
  let seenAt = now();
  for (let text = await look(); ; text = await again()) {
    print(text);
    await pause(intervalMs);
  }

  async function again(): Promise<string> {
    try {
      const text = await look();
      seenAt = now();
      return text;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return `no answer for ${duration(now() - seenAt)}: ${escapeControls(error.message)}`;
    }
  }
}

function printBelow(): (text: string) => void {
  let isFirst = true;
  return (text) => {
    process.stdout.write(`${isFirst ? '' : '\n'}${text}\n`);
    isFirst = false;
  };
}

function printInPlace(): (text: string) => void {
  let height = 0;
  return (text) => {
    const lines = fitting(text.split('\n'), Math.max(2, (process.stdout.rows || 24) - 1));
    const back = height > 0 ? `\x1b[${height}A` : '';
    // The terminal cuts lines at its edge meanwhile: a wrapped one would have two lines to go back.
    process.stdout.write(`${back}\r\x1b[J\x1b[?7l${lines.join('\n')}\n\x1b[?7h`);
    height = lines.length;
  };
}

function fitting(lines: readonly string[], most: number): readonly string[] {
  if (lines.length <= most) return lines;
  return [...lines.slice(0, most - 1), `… and ${lines.length - most + 1} more lines`];
}
