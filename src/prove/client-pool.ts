// The prover's handle of the client pool: starts the process, sends it commands and reads its statistics.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ClientStats, OpenConnection, PoolCommand, PoolReply, Workload } from './messages.js';

const entry = fileURLToPath(new URL('../prove/client-pool-entry.js', import.meta.url));

export class ClientPool {
  readonly #child: ChildProcess;
  readonly #exited: Promise<never>;

  private constructor() {
    this.#child = fork(entry, [], { execArgv: [], detached: true });
    this.#exited = new Promise((_, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => reject(new Error(`the client pool exited (${signal ?? code})`)));
    });
    this.#exited.catch(() => {}); // only a pending command needs to know
  }

  /** Settles when the first request of each client has been answered or lost. Rejects if `signal` is aborted before. */
  static async start(workload: Workload, signal: AbortSignal): Promise<ClientPool> {
    const pool = new ClientPool();
    const kill = () => pool.kill();
    signal.addEventListener('abort', kill, { once: true });
    try {
      signal.throwIfAborted();
      await pool.#send({ command: 'start', workload }, 'started');
      return pool;
    } catch (error) {
      pool.kill();
      throw error;
    } finally {
      signal.removeEventListener('abort', kill);
    }
  }

  /** Returns the statistics since the last call. */
  async stats(): Promise<ClientStats> {
    return (await this.#send({ command: 'stats' }, 'stats')).stats;
  }

  async connections(): Promise<readonly OpenConnection[]> {
    return (await this.#send({ command: 'connections' }, 'connections')).connections;
  }

  /** Waits for the requests in flight, and ends the process. Returns the statistics since the last call of `stats`. */
  async finish(): Promise<ClientStats> {
    return (await this.#send({ command: 'finish' }, 'stats')).stats;
  }

  /** Kills the process if it still runs. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #send<T extends PoolReply['reply']>(command: PoolCommand, reply: T): Promise<Extract<PoolReply, { reply: T }>> {
    const replied = new Promise<Extract<PoolReply, { reply: T }>>((resolve) => {
      const onMessage = (message: PoolReply): void => {
        if (message.reply !== reply) return;
        this.#child.off('message', onMessage);
        resolve(message as Extract<PoolReply, { reply: T }>);
      };
      this.#child.on('message', onMessage);
    });
    if (this.#child.connected) this.#child.send(command);
    return Promise.race([replied, this.#exited]);
  }
}
