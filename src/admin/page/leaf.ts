// A leaf of the tree: an event loop, lit by its load. A word or an initial says what it does.
import type { WorkerStatus } from '../../control/protocol.js';
import type { LoopState } from '../../scoreboard/loop-view.js';
import { element, setData, setText } from './dom.js';
import { age, percent, rate } from './format.js';

export interface Leaf {
  /** Unique in its worker. */
  readonly id: string;
  readonly state: LoopState | 'unknown';
  /** Default: the state. */
  readonly word?: string;
  /** From 0 to 1; undefined if it is not known. */
  readonly load: number | undefined;
  /** What the big figure says if not the load. */
  readonly figure?: string;
  readonly description: string;
}

/** Upper case, each its own. */
export const initials: Readonly<Record<Leaf['state'], string>> = {
  blocked: 'B',
  starting: 'S',
  draining: 'D',
  working: 'W',
  writing: 'T',
  reading: 'R',
  'keep-alive': 'K',
  idle: 'I',
  unknown: '?', // it has told nothing yet
};

/** @param requestsPerSecond of the worker; undefined if it is not known */
export function leavesOf(worker: WorkerStatus, requestsPerSecond: number | undefined): readonly Leaf[] {
  const { loops, load, stage } = worker;
  if (loops.length === 0) {
    const state = stage === 'starting' || stage === 'draining' ? stage : 'unknown';
    const figure = requestsPerSecond === undefined ? '–' : `${rate(requestsPerSecond)}/s`;
    return [{ id: 'all', state, word: stage, load, figure, description: 'its event loops have told nothing yet' }];
  }
  return loops.map((loop) => {
    const { tid, state, utilization, connections, inFlight, staleMs } = loop;
    const name = tid === 0 ? 'main thread' : `thread ${tid}`;
    const parts = [
      state,
      `${percent(utilization)} busy`,
      `${connections} connections`,
      `${inFlight} requests in flight`,
    ];
    if (loop.lagMs) parts.push(`timers ${age(loop.lagMs.p99)} late (p99)`);
    const isBlocked = state === 'blocked';
    return {
      id: String(tid),
      state,
      load: isBlocked ? 1 : utilization,
      ...(isBlocked && staleMs !== undefined && { figure: age(staleMs) }),
      description: `${name}: ${parts.join(', ')}`,
    };
  });
}

export function makeLeaf(): HTMLElement {
  return element(
    'li',
    'leaf',
    element('span', 'fill'),
    element('span', 'word'),
    element('b', 'figure'),
    element('span', 'visually-hidden'),
  );
}

export function updateLeaf(
  child: HTMLElement,
  { state, word: stateWord = state, load, figure, description }: Leaf,
): void {
  const [fill, word, value, text] = child.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
  setData(child, 'state', state);
  fill.style.height = `${(load ?? 0) * 100}%`;
  setData(word, 'initial', initials[state]);
  setText(word, stateWord);
  setText(value, figure ?? (load === undefined ? '–' : percent(load)));
  setText(text, `, ${description}`);
  if (child.title !== description) child.title = description;
}
