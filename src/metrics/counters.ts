// The counters of an event loop (`layout`), or of a host of threads.
import type { Part } from '../memory/parts.js';
import type { LoopSlot } from '../overload/layout.js';
import { HostCounters } from './host-counters.js';
import {
  answeredIndex,
  bucketMs,
  bytesPerWord,
  type Group,
  layout,
  methods,
  rowOf,
  sharedRow,
  statusClasses,
  wordsPerCounter,
} from './layout.js';

/** Of 32 bits, which is what `Atomics` can add at once. */
const maxStep = 2 ** 31 - 1;
const carry = 2 ** 32;

const methodIndexes = new Map<string, number>(methods.map((method, i) => [method, i]));
const otherMethod = methods.indexOf('other');
const otherClass = statusClasses.indexOf('other');

export type Histogram = 'duration' | 'firstByte';

export class Counters extends HostCounters {
  readonly #words: Int32Array;
  /** Others may count in the same row at the same time. */
  readonly #isShared: boolean;

  /** @param slot of the event loop; undefined for a host, and while a worker warms up */
  constructor({ memory, start }: Part, slot: LoopSlot | undefined) {
    super();
    const { rowBytes } = layout;
    const row = rowOf(slot);
    this.#words = new Int32Array(memory, start + row * rowBytes, rowBytes / bytesPerWord);
    this.#isShared = row === sharedRow;
  }

  override add(group: Group, more = 1, index = 0): void {
    this.#add(layout.groups[group].first + index, more);
  }

  answered(method: string, status: number): void {
    const statusClass = status >= 100 && status < 600 ? Math.floor(status / 100) - 1 : otherClass;
    const index = answeredIndex(methodIndexes.get(method) ?? otherMethod, statusClass);
    this.#add(layout.groups.answered.first + index, 1);
  }

  /** @param ms from 0 */
  observe(histogram: Histogram, ms: number): void {
    const { first } = layout.groups[histogram];
    let bucket = 0;
    while (bucket < bucketMs.length && ms > (bucketMs[bucket] as number)) bucket++;
    this.#add(first + bucket, 1);
    this.#add(first + bucketMs.length + 1, Math.round(ms * 1000));
  }

  #add(index: number, more: number): void {
    const at = index * wordsPerCounter;
    for (let rest = more; rest > 0; rest -= maxStep) {
      const step = Math.min(rest, maxStep);
      if (this.#raise(at, step) + step >= carry) this.#raise(at + 1, 1);
    }
  }

  /** `Atomics` take three times as long. @returns the word before */
  #raise(at: number, step: number): number {
    if (this.#isShared) return Atomics.add(this.#words, at, step) >>> 0;
    const before = this.#words[at] as number;
    this.#words[at] = before + step;
    return before >>> 0;
  }
}
