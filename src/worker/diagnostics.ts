// What an operator asks a worker for: what its event loops are doing, their stacks, a profile or a heap snapshot. A blocked
// event loop does not answer: it is shown with what is known of it, or interrupted.
import { now } from '../clock.js';
import { interruptMs, type LoopStack, patienceMs, type Unreadable, unreadable } from '../hang/loop-stack.js';
import { closeDescriptor } from '../os/descriptor.js';
import type { SystemCallError } from '../os/libc.js';
import { type Look, type LoopView, maxRequestViews } from '../scoreboard/loop-view.js';
import type { DumpOrder } from './messages.js';
import type { Questions } from './questions.js';
import type { Unit } from './runtime.js';

/** A process with threads asks these first (milliseconds). */
const hostStacksMs = patienceMs + interruptMs + 2000;
/** A worker that has not answered by then is blocked, and begins no dump (milliseconds). */
const dumpPatienceMs = 2000;
/** Besides the time of a profile (milliseconds). */
export const dumpTimeoutMs = 600_000;

export class Diagnostics {
  readonly #unit: Unit;
  readonly #questions: Questions;
  /** What its event loops have told last, and when. */
  #views: readonly LoopView[] = [];
  #viewsAt = now();
  /** Heap snapshots that are being taken. */
  #blocking = 0;

  constructor(unit: Unit, questions: Questions) {
    this.#unit = unit;
    this.#questions = questions;
  }

  /** As `Worker.look`, of a worker that has started. */
  async look(how: Look, deadlineMs: number): Promise<readonly LoopView[]> {
    const answer = await this.#questions.ask((id) => ({ type: 'look', id, how }), deadlineMs);
    if (answer) {
      this.#views = answer.views ?? [];
      this.#viewsAt = now();
      return this.#views;
    }
    if (this.#questions.hasEnded) return [];
    const staleMs = Math.round(now() - this.#viewsAt);
    // Of several threads each has its own journal, and is blocked only together with their host.
    const known = this.#views.length > 0 ? this.#views : [{ ...untold, tid: this.#unit.tid }];
    if (known.length > 1) return known.map((view) => ({ ...view, state: 'blocked', staleMs }));
    const requests = this.#unit.inFlight();
    const oldest = requests.slice(0, maxRequestViews);
    return known.map((view) => ({ ...view, state: 'blocked', staleMs, inFlight: requests.length, oldest }));
  }

  /** As `Worker.stacks`. */
  async stacks(): Promise<readonly LoopStack[]> {
    const unit = this.#unit;
    if (!unit.interrupt) {
      const answer = await this.#questions.ask((id) => ({ type: 'stacks', id }), hostStacksMs);
      return answer?.loops ?? this.#unreadable('silent');
    }
    let reason: Unreadable | undefined;
    let timer: NodeJS.Timeout | undefined;
    const answer = await this.#questions.ask((id) => {
      timer = setTimeout(() => {
        reason = unit.interrupt?.(id);
      }, patienceMs);
      return { type: 'stacks', id };
    }, patienceMs + interruptMs);
    clearTimeout(timer);
    const [loop] = answer?.loops ?? [];
    return loop ? [{ ...loop, tid: unit.tid }] : this.#unreadable(reason ?? 'native');
  }

  /** As `Worker.dump`. */
  async dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    const timeoutMs = order.ms + dumpTimeoutMs;
    const isResponsive = await this.#questions.ask((id) => ({ type: 'idle', id }), dumpPatienceMs);
    const mayBlock = order.kind === 'heap' ? 1 : 0;
    this.#countBlocking(mayBlock);
    try {
      const answering = isResponsive
        ? this.#questions.ask(
            (id) => ({ type: 'dump', id, order }),
            timeoutMs,
            (message) => this.#unit.sendDump(message, fd),
          )
        : undefined;
      closeDescriptor(fd); // a copy has been sent
      const answer = await answering;
      if (answer) return answer.failure;
      if (this.#questions.hasEnded) return 'it has ended';
      return isResponsive
        ? `it has not finished within ${timeoutMs / 1000} s`
        : 'its event loop is blocked; mpserve ctl stacks shows by what';
    } catch (error) {
      return (error as SystemCallError).message;
    } finally {
      this.#countBlocking(-mayBlock);
    }
  }

  /** A heap snapshot that has been given up may still be taken while another one begins. */
  #countBlocking(change: number): void {
    this.#blocking += change;
    this.#unit.setMayBlock(this.#blocking > 0);
  }

  #unreadable(reason: Unreadable): readonly LoopStack[] {
    return this.#questions.hasEnded ? [] : [unreadable(this.#unit.tid, reason, this.#unit.inFlight())];
  }
}

/** Of an event loop that has been blocked since before the first look. */
const untold: Omit<LoopView, 'tid'> = {
  state: 'blocked',
  connections: 0,
  requests: 0,
  inFlight: 0,
  oldest: [],
  received: 0,
  sent: 0,
  utilization: 1,
  heapBytes: 0,
  heapTotalBytes: 0,
};
