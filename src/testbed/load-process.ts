// A process that sends requests to a server under test. It is separate so that its event loop is neither the server's nor
// that of the code that observes the server. It answers each command with one message.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export class LoadProcess<Command extends object> {
  readonly #child: ChildProcess;
  readonly #exited: Promise<never>;

  /**
   * @param exitMessage the error of a command that is pending when the process exits
   * @param signal kills the process when aborted
   */
  constructor(entry: string, exitMessage: (reason: string | number | null) => string, signal: AbortSignal) {
    this.#child = fork(entry, [], { execArgv: [], detached: true, signal, killSignal: 'SIGKILL' });
    this.#exited = new Promise((_, reject) => {
      this.#child.on('error', reject);
      this.#child.once('exit', (code, killedBy) => reject(new Error(exitMessage(killedBy ?? code))));
    });
    this.#exited.catch(() => {}); // only a pending command needs to know
  }

  /** Sends a command, and waits for the reply. Send the next command after that. @throws Error if the process exits */
  async ask<Reply>(command: Command): Promise<Reply> {
    const replied = once(this.#child, 'message');
    this.#child.send(command, () => {}); // fails only if the process has exited
    const [reply] = await Promise.race([replied, this.#exited]);
    return reply;
  }

  /** Kills the process if it still runs. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
