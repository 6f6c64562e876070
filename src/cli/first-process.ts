// The first process of a container (pid 1) gets no signal for which it has no handler: the kernel leaves out the default
// action, which would end the container. Ends the process where nothing else handles the signal: before the server does, and in
// commands that do not.
import { constants } from 'node:os';

const signals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** The exit code is 128 and the number of the signal, as shells report it. */
export function endBySignals(): void {
  for (const signal of signals) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal]);
    });
  }
}
