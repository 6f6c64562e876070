// Ties a worker's life to the supervisor's, even while the worker's event loop is blocked and it cannot see
// the IPC channel close: a socket pair whose other end raises SIGKILL in the worker when ours is closed, and the
// kernel closes ours when the supervisor dies. (prctl's PR_SET_PDEATHSIG would have to run in every worker.)
import { platform } from 'node:process';
import { closeDescriptor, socketPair } from './descriptor.js';
import { checked, libc } from './libc.js';

const SIGKILL = 9;
// fcntl(2), "File and socket signals"; Linux only.
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;

export interface Leash {
  /** The end for the worker to inherit; pass it in `stdio`. */
  readonly fd: number;
  /** Call once, right after the fork: ties the worker and closes this process's copy of its end. */
  tie(pid: number | undefined): void;
  /** Lets go, once the worker is gone. */
  release(): void;
}

/** undefined where the system cannot do it (macOS): there a worker ends when it sees the channel close. */
export function createLeash(): Leash | undefined {
  if (platform !== 'linux') return undefined;
  const { fcntl } = libc();
  const [held, fd] = socketPair();
  return {
    fd,
    tie(pid) {
      if (pid !== undefined) {
        checked('fcntl(F_SETOWN)', fcntl(fd, F_SETOWN, 'int', pid));
        checked('fcntl(F_SETSIG)', fcntl(fd, F_SETSIG, 'int', SIGKILL));
        checked('fcntl(O_ASYNC)', fcntl(fd, F_SETFL, 'int', O_ASYNC | O_NONBLOCK));
      }
      closeDescriptor(fd);
    },
    release: () => closeDescriptor(held),
  };
}
