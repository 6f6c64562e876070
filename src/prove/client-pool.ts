// The crowd of clients as the prover sees it: a process that has begun to ask, and can be asked what became of it.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Connected, Count, Job, Message, Order } from './messages.js';

const entry = fileURLToPath(new URL('../prove/client-pool-entry.js', import.meta.url));

export class Crowd {
  readonly #child: ChildProcess;
  readonly #gone: Promise<never>;

  private constructor() {
    this.#child = fork(entry, [], { execArgv: [], detached: true });
    this.#gone = new Promise((_, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => reject(new Error(`the clients have ended (${signal ?? code})`)));
    });
    this.#gone.catch(() => {}); // of interest only to who waits for an answer
  }

  /** Settles when something has become of the first request of each client. Rejects when `signal` is aborted before. */
  static async begin(job: Job, signal: AbortSignal): Promise<Crowd> {
    const crowd = new Crowd();
    const stop = () => crowd.end();
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      await crowd.#ask({ order: 'begin', job }, 'ready');
      return crowd;
    } catch (error) {
      crowd.end();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** What has been since the last count. */
  async count(): Promise<Count> {
    return (await this.#ask({ order: 'count' }, 'counted')).count;
  }

  async connected(): Promise<readonly Connected[]> {
    return (await this.#ask({ order: 'look' }, 'connected')).connected;
  }

  /** Lets every request that is under way come to its end. @returns what has been since the last count */
  async finish(): Promise<Count> {
    return (await this.#ask({ order: 'finish' }, 'counted')).count;
  }

  /** Ends it at once, if it has not ended yet. */
  end(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask<T extends Message['told']>(order: Order, told: T): Promise<Extract<Message, { told: T }>> {
    const answer = new Promise<Extract<Message, { told: T }>>((resolve) => {
      const hear = (message: Message): void => {
        if (message.told !== told) return;
        this.#child.off('message', hear);
        resolve(message as Extract<Message, { told: T }>);
      };
      this.#child.on('message', hear);
    });
    if (this.#child.connected) this.#child.send(order);
    return Promise.race([answer, this.#gone]);
  }
}
