// The events of the timeline: a strip on the time axis of the curves, and a list.
import type { TimelineEvent } from '../live.js';
import { byId, element, setText } from './dom.js';
import { shown, time } from './format.js';

type Kind = TimelineEvent['kind'];

/** An initial and a lane for each kind: what operators do, and what goes wrong. */
const kinds: Readonly<Record<Kind, readonly [initial: string, isFault: boolean]>> = {
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
/** CSS pixels. */
const chipWidth = 20;

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

  /** @param events the oldest first @param leftOf where on the axis a moment is (CSS pixels); undefined for before it */
  showStrip(events: readonly TimelineEvent[], leftOf: (at: number) => number | undefined): void {
    const placed = events.flatMap((event) => {
      const left = leftOf(event.at);
      return left === undefined ? [] : [{ event, left }];
    });
    for (const [i, lane] of this.#lanes.entries()) {
      const ofLane = placed.filter(({ event }) => kinds[event.kind][1] === (i === 1));
      lane.replaceChildren(...groups(ofLane).map(groupChip));
    }
  }

  showList(events: readonly TimelineEvent[]): void {
    const rows = events
      .slice(-maxRows)
      .reverse()
      .map((event) => {
        const text = element('span', 'text', shown(event.text, 400));
        return element('li', '', element('time', '', time(event.at)), ' ', chip(event), ' ', text);
      });
    if (rows.length === 0) rows.push(element('li', 'quiet', 'Nothing has happened in the last 15 minutes.'));
    const { scrollTop } = this.#list;
    this.#list.replaceChildren(...rows);
    this.#list.scrollTop = scrollTop;
  }
}

interface Placed {
  readonly event: TimelineEvent;
  readonly left: number;
}

type Group = [Placed, ...Placed[]];

/** Those that would lie upon each other. */
function groups(placed: readonly Placed[]): readonly Group[] {
  const made: Group[] = [];
  for (const one of placed) {
    const last = made.at(-1);
    if (last && one.left - last[0].left < chipWidth) last.push(one);
    else made.push([one]);
  }
  return made;
}

/** Has the initial of the kind, or the number of events of several kinds. */
function groupChip(group: Group): HTMLElement {
  const [first] = group;
  const made = chip(first.event);
  const initial = made.firstElementChild;
  if (initial && group.some(({ event }) => event.kind !== first.event.kind)) setText(initial, String(group.length));
  made.style.setProperty('--at', `${first.left}px`);
  made.title = group.map(({ event }) => `${time(event.at)} ${shown(event.text, 400)}`).join('\n');
  return made;
}

function chip({ kind }: TimelineEvent): HTMLElement {
  const [initial, isFault] = kinds[kind];
  const made = element('span', 'chip', element('b', '', initial), element('span', 'word', kind));
  made.dataset.fault = String(isFault);
  return made;
}
