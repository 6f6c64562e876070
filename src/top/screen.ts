// The terminal: its other screen, which leaves the user's own as it was, and what is written there. It is given back
// however the process ends, other than by SIGKILL.
import type { ReadStream, WriteStream } from 'node:tty';
import { type Line, painted } from './line.js';
import type { Size } from './page.js';

/** The other screen, without a cursor, and without wrapping: a line that is too wide is cut. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J';
const leave = '\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l';

export interface ScreenListener {
  /** @param input as the terminal has sent it */
  typed(input: string): void;
  resized(): void;
  /** The terminal has gone. */
  closed(): void;
}

export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #hasColours: boolean;
  #shown: readonly string[] = [];
  #isOpen = false;

  constructor(input: ReadStream, output: WriteStream) {
    this.#input = input;
    this.#output = output;
    this.#hasColours = output.hasColors();
  }

  get size(): Size {
    // A terminal that does not know its size says 0.
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  open(listener: ScreenListener): void {
    this.#isOpen = true;
    process.on('exit', () => this.close());
    this.#input.setRawMode(true).setEncoding('utf8');
    this.#input.on('data', (text: string) => listener.typed(text)).on('end', () => listener.closed());
    this.#input.on('error', () => listener.closed());
    this.#output.on('error', () => listener.closed());
    this.#output.on('resize', () => {
      this.#shown = [];
      this.#output.write('\x1b[2J');
      listener.resized();
    });
    this.#output.write(enter);
  }

  /** Writes the lines that have changed. What was there is erased before: after it, the last column would be as well. */
  draw(lines: readonly Line[]): void {
    if (!this.#isOpen || this.#output.writableNeedDrain) return;
    const texts = lines.map((line) => painted(line, this.#hasColours));
    const changed = texts.flatMap((text, i) => (text === this.#shown[i] ? [] : `\x1b[${i + 1};1H\x1b[K${text}`));
    if (changed.length > 0) this.#output.write(changed.join(''));
    this.#shown = texts;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.write(leave);
    this.#input.setRawMode(false).pause();
  }
}
