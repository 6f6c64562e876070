// Text in the cells of a terminal: what it takes of a line, and how it is cut. Everything that came from a server goes
// through `clean` first.
import { eastAsianWidth } from 'get-east-asian-width';
import { escapeControls } from '../log/escape.js';

/** What is longer is not looked at: no line is that wide. In UTF-16 units. */
const maxLength = 2000;

/**
 * Text that only takes the place it has: no control characters, no tabs, and no invisible or combining characters, of whose
 * width terminals have different opinions.
 */
export function clean(text: string): string {
  const short = text.slice(0, maxLength);
  if (/^[\x20-\x7e]*$/.test(short)) return short;
  return escapeControls(short.replace(/\t/g, ' '))
    .replace(/[\p{Cf}\p{Mn}\p{Me}]/gu, '')
    .replace(/\p{Surrogate}/gu, '\ufffd');
}

/** In cells. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfOne(character);
  return width;
}

/** At most `width` cells of `text`; the last is an ellipsis if there is more. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return '';
  let used = 1;
  let kept = '';
  for (const character of text) {
    used += widthOfOne(character);
    if (used > width) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Exactly `width` cells. */
export function padded(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const shown = cut(text, width);
  const space = ' '.repeat(Math.max(0, width - widthOf(shown)));
  return align === 'left' ? shown + space : space + shown;
}

function widthOfOne(character: string): number {
  return eastAsianWidth(character.codePointAt(0) as number);
}
