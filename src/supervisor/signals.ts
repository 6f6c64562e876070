// The signals that the supervisor handles, with the meanings of gunicorn and nginx. docs/signals.md is generated from
// this table. A handler replaces Node's default action, also that of SIGUSR1 (the inspector).
import { isatty } from 'node:tty';

export interface SignalTarget {
  /** Stops the server. @param isQuick cuts requests in flight after a second instead of --graceful-timeout */
  stop(reason: string, isQuick: boolean): void;
  /** Kills all workers and exits. */
  kill(): void;
  reload(reason: string): void;
  upgrade(reason: string): void;
  /** @param change of the number of workers; negative to remove some */
  scale(change: number, reason: string): void;
  drain(reason: string): void;
  reopen(reason: string): void;
}

const hasTerminal = (): boolean => [0, 1, 2].some(isatty);
const hadTerminal = hasTerminal();
const hasLostTerminal = (): boolean => hadTerminal && !hasTerminal();

interface Handler {
  /** For docs/signals.md. */
  readonly description: string;
  handle(target: SignalTarget, signal: NodeJS.Signals, isRepeated: boolean): void;
}

const quickStop: Handler = {
  description:
    'stop quickly: accept no connections, finish requests in flight within one second. A second signal kills all workers at once',
  handle: (target, signal, isRepeated) => (isRepeated ? target.kill() : target.stop(signal, true)),
};

export const signals: Readonly<Partial<Record<NodeJS.Signals, Handler>>> = {
  SIGTERM: {
    description: 'stop gracefully: accept no connections, finish requests in flight within `--graceful-timeout`',
    handle: (target, signal) => target.stop(signal, false),
  },
  SIGINT: quickStop,
  SIGQUIT: quickStop,
  SIGHUP: {
    description:
      'reload the configuration and the app: new workers replace the old ones without losing a request. If the terminal was closed: stop gracefully',
    handle: (target, signal) => (hasLostTerminal() ? target.stop(signal, false) : target.reload(signal)),
  },
  SIGTTIN: { description: 'add a worker', handle: (target, signal) => target.scale(1, signal) },
  SIGTTOU: { description: 'remove a worker', handle: (target, signal) => target.scale(-1, signal) },
  SIGUSR1: {
    description: 'reopen the log files, after they have been renamed',
    handle: (target, signal) => target.reopen(signal),
  },
  SIGUSR2: {
    description:
      'upgrade: start the installed versions of mpserve and Node on the same sockets. When the new server is ready, connections migrate to it and the old server exits',
    handle: (target, signal) => target.upgrade(signal),
  },
  SIGWINCH: {
    description:
      'drain all workers, but keep the server: new connections wait in the kernel until SIGHUP or SIGTTIN starts workers again. Ignored on a terminal, which sends it when the window is resized',
    handle: (target, signal) => {
      if (!hasTerminal()) target.drain(signal);
    },
  },
};

/** @returns a function that removes the handlers */
export function handleSignals(target: SignalTarget): () => void {
  const seen = new Set<NodeJS.Signals>();
  const handle = (signal: NodeJS.Signals): void => {
    signals[signal]?.handle(target, signal, seen.has(signal));
    seen.add(signal);
  };
  const names = Object.keys(signals) as NodeJS.Signals[];
  for (const signal of names) process.on(signal, handle);
  return () => {
    for (const signal of names) process.removeListener(signal, handle);
  };
}
