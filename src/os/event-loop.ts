// Whether the event loop of another process waits for events, from /proc/PID/syscall (proc(5)): the kernel says in which
// system call its main thread sleeps. Costs 4 µs. Linux only, for processes that we could trace, such as our own children.
import { closeSync, openSync, readSync } from 'node:fs';
import { arch } from 'node:process';

/** epoll_wait, epoll_pwait and epoll_pwait2 of the architectures that Node is released for; others are unknown. */
const genericCalls = ['22', '441'];
const waitingCalls: Readonly<Record<string, readonly string[]>> = {
  x64: ['232', '281', '441'],
  arm64: genericCalls,
  riscv64: genericCalls,
  loong64: genericCalls,
};

/** Enough for the number of the call, or `running`. */
const text = Buffer.alloc(16);

export class ProcessEventLoop {
  readonly #pid: number;
  readonly #calls = waitingCalls[arch];
  /** Opened at the first look; null when nothing is to be seen. */
  #fd: number | null | undefined;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** undefined where the kernel does not say. */
  get waits(): boolean | undefined {
    try {
      this.#fd ??= this.#fd === null || !this.#calls ? null : openSync(`/proc/${this.#pid}/syscall`, 'r');
      if (this.#fd === null) return undefined;
      const length = readSync(this.#fd, text, 0, text.length, 0);
      const [call = ''] = text.toString('latin1', 0, length).split(/\s/, 1);
      return this.#calls?.includes(call);
    } catch {
      this.close(); // it has ended, or we may not look
      return undefined;
    }
  }

  /** From now on nothing is to be seen. */
  close(): void {
    if (typeof this.#fd === 'number') closeSync(this.#fd);
    this.#fd = null;
  }
}
