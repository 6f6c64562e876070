// Kills a worker when the supervisor dies, even if the worker's event loop is blocked and cannot see the IPC channel close.
// The two share a socket pair, and the kernel sends the worker SIGKILL when the supervisor's end is closed, which it is at
// the latest when the supervisor dies. (prctl's PR_SET_PDEATHSIG would have to run in every worker.)
import { constants } from 'node:fs';
import { constants as system } from 'node:os';
import { platform } from 'node:process';
import { closeDescriptor, socketPair } from './descriptor.js';
import { checked, libc } from './libc.js';
import { F_SETFL } from './socket-constants.js';

// fcntl(2), "File and socket signals"; Linux only.
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_ASYNC = 0o20000;

export type Leash = NonNullable<ReturnType<typeof createLeash>>;

/** undefined on other systems than Linux, where a worker exits when it sees the IPC channel close. */
export function createLeash() {
  if (platform !== 'linux') return undefined;
  const { fcntl } = libc();
  const [ownEnd, fd] = socketPair();
  return {
    /** The worker's end; pass it in `stdio`. */
    fd,
    /** Call it once, right after the fork. Closes this process's copy of `fd`. @param pid undefined if the fork failed */
    tie(pid: number | undefined): void {
      if (pid !== undefined) {
        checked('fcntl(F_SETOWN)', fcntl(fd, F_SETOWN, 'int', pid));
        checked('fcntl(F_SETSIG)', fcntl(fd, F_SETSIG, 'int', system.signals.SIGKILL));
        checked('fcntl(O_ASYNC)', fcntl(fd, F_SETFL, 'int', O_ASYNC | constants.O_NONBLOCK));
      }
      closeDescriptor(fd);
    },
    /** Call it when the worker has exited. */
    release: (): void => closeDescriptor(ownEnd),
  };
}
