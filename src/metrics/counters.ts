// The counters of an event loop (`layout`). Others may count in the same row at the same time.
import type { Part } from '../memory/parts.js';
import { HostCounters } from './host-counters.js';
import {
  answeredIndex,
  bucketMs,
  bytesPerWord,
  type Group,
  layout,
  loopRows,
  methods,
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

  /** @param loop a number of the event loop, any integer from 0 */
  constructor({ memory, start }: Part, loop: number) {
    super();
    const { rowBytes } = layout;
    this.#words = new Int32Array(memory, start + (loop % loopRows) * rowBytes, rowBytes / bytesPerWord);
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
      const before = Atomics.add(this.#words, at, step) >>> 0;
      if (before + step >= carry) Atomics.add(this.#words, at + 1, 1);
    }
  }
}
