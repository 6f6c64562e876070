// The events of the timeline: a strip on the time axis of the curves, and a list.
import type { TimelineEvent } from '../live.js';
import { byId, element } from './dom.js';
import { time } from './format.js';

type Kind = TimelineEvent['kind'];

/** A letter and a lane for each kind: what operators do, and what goes wrong. */
export const kinds: Readonly<Record<Kind, readonly [letter: string, isFault: boolean]>> = {
  start: ['S', false],
  reload: ['R', false],
  switch: ['M', false],
  scale: ['N', false],
  upgrade: ['U', false],
  other: ['O', false],
  exit: ['E', true],
  crash: ['C', true],
  hang: ['H', true],
  quarantine: ['Q', true],
  failure: ['F', true],
};

const maxRows = 50;

export class EventsView {
  readonly #list = byId('events');
  readonly #lanes = [element('div', 'lane'), element('div', 'lane')] as const;
  /** Beside the curves: the same width, and the same axis. */
  readonly strip = element('div', 'strip', ...this.#lanes);

  constructor() {
    this.#list.tabIndex = 0; // the keyboard can scroll it
    this.strip.setAttribute('aria-hidden', 'true'); // the list says the same
    this.#lanes[0].dataset.name = 'changes';
    this.#lanes[1].dataset.name = 'faults';
  }

  /** @param events the oldest first @param leftOf where on the axis a moment is, in CSS pixels */
  showStrip(events: readonly TimelineEvent[], leftOf: (at: number) => number): void {
    for (const [i, lane] of this.#lanes.entries()) {
      const chips = events
        .filter(({ kind }) => kinds[kind][1] === (i === 1))
        .map((event) => {
          const made = chip(event);
          made.style.left = `${leftOf(event.at)}px`;
          made.title = `${time(event.at)} ${event.text}`;
          return made;
        });
      lane.replaceChildren(...chips);
    }
  }

  showList(events: readonly TimelineEvent[]): void {
    const rows = events
      .slice(-maxRows)
      .reverse()
      .map((event) => element('li', '', element('time', '', time(event.at)), ' ', chip(event), ` ${event.text}`));
    if (rows.length === 0) rows.push(element('li', 'quiet', 'Nothing has happened in the last 15 minutes.'));
    const { scrollTop } = this.#list;
    this.#list.replaceChildren(...rows);
    this.#list.scrollTop = scrollTop;
  }
}

function chip({ kind }: TimelineEvent): HTMLElement {
  const [letter, isFault] = kinds[kind];
  const made = element('span', 'chip', element('b', '', letter), element('span', 'word', kind));
  made.dataset.fault = String(isFault);
  return made;
}
