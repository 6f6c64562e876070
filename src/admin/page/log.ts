// The last lines of the log. It follows the end, unless the reader has scrolled up.
import type { LogLine } from '../live.js';
import { byId, element } from './dom.js';
import { shown, time } from './format.js';

export class LogView {
  readonly #list = byId('log');
  #shown: readonly LogLine[] = [];

  constructor() {
    this.#list.tabIndex = 0; // the keyboard can scroll it
  }

  /** @param lines the oldest first; those of the last call are the same objects */
  show(lines: readonly LogLine[]): void {
    const isAtEnd = this.#list.scrollTop + this.#list.clientHeight >= this.#list.scrollHeight - 4;
    const kept = new Set(lines);
    const gone = this.#shown.filter((line) => !kept.has(line)).length;
    for (let i = 0; i < gone; i++) this.#list.firstElementChild?.remove();
    const known = new Set(this.#shown);
    this.#list.append(...lines.filter((line) => !known.has(line)).map(row));
    this.#shown = lines;
    if (isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

function row({ at, level, text }: LogLine): HTMLElement {
  const made = element('li', '', element('time', '', time(at)), ' ', element('b', '', level), ' ', shown(text, 1000));
  made.dataset.level = level;
  return made;
}
