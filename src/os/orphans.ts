// The first process of a container (pid 1) is the parent of every process whose own parent has ended, and has to take its
// exit status, or its entry in the process table is never free again. Node waits for its own children alone. Never takes the
// status of one of those: Node would not hear that it has exited.
import { libc } from './libc.js';
import { endedChildren } from './process-tree.js';

/** Node takes the status of its own children within a turn of the event loop; an orphan can wait longer (milliseconds). */
const confirmMs = 1000;
/** WNOHANG of wait(2). */
const noHang = 1;

/** Takes the status of orphans as they end. Sleeps until the kernel says that a child has. @returns a function that ends it */
export function reapOrphans(): () => void {
  let timer: NodeJS.Timeout | undefined;
  const childEnded = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      reap(new Set(endedChildren(process.pid)));
    }, confirmMs).unref();
  };
  process.on('SIGCHLD', childEnded);
  childEnded(); // some may have ended before
  return () => {
    process.off('SIGCHLD', childEnded);
    clearTimeout(timer);
  };
}

/**
 * Of those that Node has left alone for a whole turn of the event loop. The signal of a child that has ended is there before
 * the child can be seen as ended, and between the two looks the loop has polled, so that Node has handled that signal.
 */
function reap(seen: ReadonlySet<number>): void {
  if (seen.size === 0) return;
  // After a timer the loop polls; after it has polled, immediates run. The second one is after a whole poll.
  setImmediate(() =>
    setImmediate(() => {
      for (const pid of endedChildren(process.pid)) if (seen.has(pid)) libc().waitpid(pid, null, noHang);
    }),
  );
}
