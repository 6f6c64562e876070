// A line of the screen: pieces of text, each in a tone, which is a colour where the terminal has colours.
import { cut, widthOf } from './cells.js';

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'quiet' | 'strong' | 'title' | 'chosen';

export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

export type Line = readonly Span[];

export const span = (text: string, tone: Tone = 'plain'): Span => ({ text, tone });

/** At most `width` cells of it. */
export function cutLine(line: Line, width: number): Line {
  const kept: Span[] = [];
  let left = width;
  for (const { text, tone } of line) {
    if (left <= 0) break;
    const shown = cut(text, left);
    left -= widthOf(shown);
    kept.push({ text: shown, tone });
    if (shown !== text) break;
  }
  return kept;
}

export function textOf(line: Line): string {
  return line.map(({ text }) => text).join('');
}

/** SGR parameters (ECMA-48): first without colours, then with them. */
const codes: Readonly<Record<Tone, readonly [plain: string, coloured: string]>> = {
  plain: ['', ''],
  good: ['', '32'],
  warn: ['', '33'],
  bad: ['1', '1;31'],
  quiet: ['', '2'],
  strong: ['1', '1'],
  title: ['7', '7'],
  chosen: ['7;1;4', '7;1;4'],
};

/** As the terminal gets it. */
export function painted(line: Line, hasColours: boolean): string {
  return line
    .map(({ text, tone }) => {
      const code = codes[tone][hasColours ? 1 : 0];
      return code === '' ? text : `\x1b[${code}m${text}\x1b[0m`;
    })
    .join('');
}
