// The keys, and what they change of the view.
import { columns } from './columns.js';

/** What the user has chosen to see. */
export interface View {
  /** The key of a column. */
  readonly sort: string;
  /** Against the usual direction of that column. */
  readonly isReversed: boolean;
  readonly isPaused: boolean;
  readonly isHelp: boolean;
  /** Rows that are scrolled away. */
  readonly offset: number;
}

export const firstView: View = { sort: 'w', isReversed: false, isPaused: false, isHelp: false, offset: 0 };

type NamedKey = 'up' | 'down' | 'page up' | 'page down' | 'home' | 'end';

/** As terminals send them, in both modes of the arrows. */
const sequences: Readonly<Record<string, NamedKey>> = {
  '[A': 'up',
  OA: 'up',
  '[B': 'down',
  OB: 'down',
  '[5~': 'page up',
  '[6~': 'page down',
  '[H': 'home',
  OH: 'home',
  '[1~': 'home',
  '[F': 'end',
  OF: 'end',
  '[4~': 'end',
};

/** @param input what the terminal has sent. @returns names of keys and single characters; unknown sequences are left out */
export function keysIn(input: string): readonly string[] {
  // A control sequence (ECMA-48, section 5.4), one of SS3, or a character.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals send them
  const found = input.matchAll(/\x1b(\[[0-?]*[ -/]*[@-~]|O.)|[^\x1b]/gu);
  return [...found].flatMap(([character, sequence]) =>
    sequence === undefined ? character : (sequences[sequence] ?? []),
  );
}

const ctrlC = '\x03';

/** The keys besides those of columns, for the help. */
export const keyHelp: readonly (readonly [key: string, effect: string])[] = [
  ['q, Ctrl-C', 'quit'],
  ['p', 'pause: keep what is shown; again, go on'],
  ['R', 'reverse the order; so does the key of the sorted column'],
  ['↑ ↓ PgUp PgDn', 'scroll; Home and End go to the first and the last row'],
  ['?', 'this help; again, back'],
];

/**
 * The view after a key. @param pageRows by which PgUp and PgDn scroll. @param maxOffset the last row is visible then
 * @returns undefined to quit
 */
export function press(view: View, key: string, pageRows: number, maxOffset: number): View | undefined {
  const scrolledTo = (offset: number): View => ({ ...view, offset: Math.max(0, Math.min(maxOffset, offset)) });
  switch (key) {
    case 'q':
    case ctrlC:
      return undefined;
    case 'p':
      return { ...view, isPaused: !view.isPaused };
    case 'R':
      return { ...view, isReversed: !view.isReversed };
    case '?':
      return { ...view, isHelp: !view.isHelp, offset: 0 };
    case 'up':
      return scrolledTo(view.offset - 1);
    case 'down':
      return scrolledTo(view.offset + 1);
    case 'page up':
      return scrolledTo(view.offset - pageRows);
    case 'page down':
      return scrolledTo(view.offset + pageRows);
    case 'home':
      return scrolledTo(0);
    case 'end':
      return scrolledTo(maxOffset);
    case view.sort:
      return { ...view, isReversed: !view.isReversed };
  }
  return columns.some((column) => column.key === key) ? { ...view, sort: key, isReversed: false } : view;
}
