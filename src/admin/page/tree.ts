// The tree of processes and threads: the supervisor, its workers, and their event loops.
import type { WorkerStatus } from '../../control/protocol.js';
import type { LiveUpdate } from '../live.js';
import { byId, Children, element, setData, setText } from './dom.js';
import { megabytes, nameOf, rate } from './format.js';
import { initials, type Leaf, leavesOf, makeLeaf, updateLeaf } from './leaf.js';

/** A browser does not draw more of them every second without effort. */
const maxWorkers = 256;
const maxLeaves = 1024;
/** From this number on leaves are small, with an initial for their state. */
const manyLeaves = 48;

interface Branch {
  readonly worker: WorkerStatus;
  readonly leaves: readonly Leaf[];
  /** Of all its event loops; undefined at the first look. */
  readonly requestsPerSecond: number | undefined;
}

interface BranchView {
  readonly facts: HTMLElement;
  readonly leaves: Children<Leaf, HTMLElement>;
}

export class TreeView {
  readonly #supervisor = element('span', 'facts');
  readonly #more = element('p', 'quiet');
  readonly #legend = element('p', 'quiet');
  readonly #list = element('ol', 'workers');
  readonly #views = new WeakMap<Element, BranchView>();
  readonly #branches = new Children<Branch, HTMLElement>(
    this.#list,
    (branch) => this.#makeBranch(branch),
    (child, branch) => this.#updateBranch(child, branch),
  );
  #last = new Map<number, { readonly requests: number; readonly at: number }>();

  constructor() {
    const root = element('p', 'node', element('strong', '', 'supervisor'), ' ', this.#supervisor);
    const words = Object.entries(initials).filter(([state]) => state !== 'unknown');
    setText(this.#legend, words.map(([state, initial]) => `${initial} ${state}`).join(', '));
    byId('tree').append(root, this.#list, this.#more, this.#legend);
  }

  show({ at, status, workers }: LiveUpdate): void {
    setText(this.#supervisor, `pid ${status.pid}, ${status.model}`);
    const alive = workers.filter(({ stage }) => stage !== 'gone');
    let leafCount = 0;
    const branches = alive.slice(0, maxWorkers).map((worker) => {
      const requestsPerSecond = this.#rate(worker, at);
      const leaves = leavesOf(worker, requestsPerSecond).slice(0, maxLeaves - leafCount);
      leafCount += leaves.length;
      return { worker, leaves, requestsPerSecond };
    });
    this.#last = new Map(workers.map(({ pid, requests }) => [pid, { requests, at }]));
    const isMany = leafCount > manyLeaves;
    setData(byId('tree'), 'many', String(isMany));
    this.#legend.hidden = !isMany;
    this.#branches.show(branches, ({ worker }) => `${worker.worker} ${worker.pid}`);
    const hidden = alive.length - branches.length;
    this.#more.hidden = hidden === 0 && leafCount < maxLeaves;
    setText(this.#more, hidden > 0 ? `and ${hidden} more workers` : `only ${maxLeaves} threads are shown`);
  }

  #rate({ pid, requests }: WorkerStatus, at: number): number | undefined {
    const last = this.#last.get(pid);
    if (!last || at <= last.at) return undefined;
    return Math.max(0, ((requests - last.requests) * 1000) / (at - last.at));
  }

  #makeBranch({ worker }: Branch): HTMLElement {
    const facts = element('span', 'facts');
    const list = element('ol', 'leaves');
    const child = element('li', 'worker');
    child.append(element('p', 'node', element('strong', '', nameOf(worker)), ' ', facts), list);
    this.#views.set(child, { facts, leaves: new Children<Leaf, HTMLElement>(list, makeLeaf, updateLeaf) });
    return child;
  }

  #updateBranch(child: HTMLElement, { worker, leaves, requestsPerSecond }: Branch): void {
    const view = this.#views.get(child);
    if (!view) return;
    const { pid, generation, stage, memoryBytes } = worker;
    const parts = [
      `pid ${pid}`,
      `generation ${generation}`,
      stage,
      requestsPerSecond === undefined ? '' : `${rate(requestsPerSecond)} requests/s`,
      memoryBytes === undefined ? '' : megabytes(memoryBytes),
    ];
    setText(view.facts, parts.filter((part) => part !== '').join(', '));
    setData(child, 'stage', stage);
    view.leaves.show(leaves, ({ id }) => id);
  }
}
