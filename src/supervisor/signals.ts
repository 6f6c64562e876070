// The signals that the supervisor handles, with the meanings of gunicorn and nginx. docs/signals.md is generated from
// this table. A handler replaces Node's default action, also that of SIGUSR1 (the inspector).
import { isatty } from 'node:tty';
import type { Action, Request } from '../control/protocol.js';

export interface SignalTarget {
  /** Stops the server. @param isQuick cuts requests in flight after a second, also of a stop that has begun */
  stop(reason: string, isQuick: boolean): void;
  /** Kills all workers and exits. */
  kill(): void;
  /** Starts another action; its outcome goes to the log. */
  attempt(action: Exclude<Action, 'stop'>, signal: NodeJS.Signals, request?: Request): void;
}

const hasTerminal = (): boolean => [0, 1, 2].some(isatty);
const hadTerminal = hasTerminal();
const hasLostTerminal = (): boolean => hadTerminal && !hasTerminal();

interface Handler {
  /** For docs/signals.md. */
  readonly description: string;
  /** @param isRepeated it has been called before */
  handle(target: SignalTarget, signal: NodeJS.Signals, isRepeated: boolean): void;
}

const quickStop: Handler = {
  description:
    'stop quickly: accept no connections, finish requests in flight within one second, also after another stop has begun. A second SIGINT or SIGQUIT kills all workers at once',
  handle: (target, signal, isRepeated) => (isRepeated ? target.kill() : target.stop(signal, true)),
};

export const signals: Readonly<Partial<Record<NodeJS.Signals, Handler>>> = {
  SIGTERM: {
    description:
      'stop gracefully: after `--stop-delay`, accept no connections, finish requests in flight within `--graceful-timeout`',
    handle: (target, signal) => target.stop(signal, false),
  },
  SIGINT: quickStop,
  SIGQUIT: quickStop,
  SIGHUP: {
    description:
      'reload the configuration and the app: new workers replace the old ones without losing a request. If the terminal was closed: stop gracefully',
    handle: (target, signal) => (hasLostTerminal() ? target.stop(signal, false) : target.attempt('reload', signal)),
  },
  SIGTTIN: {
    description: 'add a worker',
    handle: (target, signal) => target.attempt('scale', signal, { workers: '+1' }),
  },
  SIGTTOU: {
    description: 'remove a worker',
    handle: (target, signal) => target.attempt('scale', signal, { workers: '-1' }),
  },
  SIGUSR1: {
    description: 'reopen the log files, after they have been renamed',
    handle: (target, signal) => target.attempt('reopen', signal),
  },
  SIGUSR2: {
    description:
      'upgrade: start the installed versions of mpserve and Node on the same sockets. When the new server is ready, connections migrate to it and the old server exits',
    handle: (target, signal) => target.attempt('upgrade', signal),
  },
  SIGWINCH: {
    description:
      'drain all workers, but keep the server: new connections wait in the kernel until SIGHUP or SIGTTIN starts workers again. Ignored on a terminal, which sends it when the window is resized',
    handle: (target, signal) => {
      if (!hasTerminal()) target.attempt('drain', signal);
    },
  },
};

/** @returns a function that removes the handlers */
export function handleSignals(target: SignalTarget): () => void {
  const called = new Set<Handler>();
  const handle = (signal: NodeJS.Signals): void => {
    const handler = signals[signal];
    if (!handler) return;
    handler.handle(target, signal, called.has(handler));
    called.add(handler);
  };
  const names = Object.keys(signals) as NodeJS.Signals[];
  for (const signal of names) process.on(signal, handle);
  return () => {
    for (const signal of names) process.removeListener(signal, handle);
  };
}
