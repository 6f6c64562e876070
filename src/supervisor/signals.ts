// What a signal to the supervisor means, as in gunicorn and nginx. This table also makes docs/signals.md. Node
// removes the default action of each signal in it, that of SIGUSR1 (the inspector) too.
import { isatty } from 'node:tty';

export interface SignalTarget {
  /** Ends the server. @param isQuick without waiting for long */
  stop(reason: string, isQuick: boolean): void;
  /** Ends it at once. */
  kill(): void;
  reload(reason: string): void;
  upgrade(reason: string): void;
  /** Workers more, or less than 0 fewer. */
  scale(by: number, reason: string): void;
  drain(reason: string): void;
  reopen(reason: string): void;
}

const hasTerminal = (): boolean => [0, 1, 2].some(isatty);
const hadTerminal = hasTerminal();
const hasLostTerminal = (): boolean => hadTerminal && !hasTerminal();

interface Meaning {
  /** For the reference page: a sentence or two. */
  readonly description: string;
  obey(target: SignalTarget, signal: NodeJS.Signals, isRepeated: boolean): void;
}

const quick: Meaning = {
  description:
    'stop quickly: nobody new is served, what is in flight has a second to finish. The second time everything is killed at once',
  obey: (target, signal, isRepeated) => (isRepeated ? target.kill() : target.stop(signal, true)),
};

export const signals: Readonly<Partial<Record<NodeJS.Signals, Meaning>>> = {
  SIGTERM: {
    description: 'stop gracefully: nobody new is served, what is in flight has `--graceful-timeout` to finish',
    obey: (target, signal) => target.stop(signal, false),
  },
  SIGINT: quick,
  SIGQUIT: quick,
  SIGHUP: {
    description:
      'reload the configuration and the app: a new generation of workers replaces the old one, without a request lost. Where it means that the terminal has been closed: stop',
    obey: (target, signal) => (hasLostTerminal() ? target.stop(signal, false) : target.reload(signal)),
  },
  SIGTTIN: { description: 'one worker more', obey: (target, signal) => target.scale(1, signal) },
  SIGTTOU: { description: 'one worker fewer', obey: (target, signal) => target.scale(-1, signal) },
  SIGUSR1: {
    description: 'open the log files anew, after they have been renamed',
    obey: (target, signal) => target.reopen(signal),
  },
  SIGUSR2: {
    description:
      'upgrade: start the mpserve and the Node that are installed now, with the same sockets; when they serve, connections go over to them and this server ends',
    obey: (target, signal) => target.upgrade(signal),
  },
  SIGWINCH: {
    description:
      'drain all workers and stay: clients wait in the queue of the kernel until SIGHUP or SIGTTIN brings workers back. Not obeyed on a terminal, which sends it when its window changes',
    obey: (target, signal) => {
      if (!hasTerminal()) target.drain(signal);
    },
  },
};

/** @returns a function that gives the signals back to Node. */
export function obeySignals(target: SignalTarget): () => void {
  const seen = new Set<NodeJS.Signals>();
  const obey = (signal: NodeJS.Signals): void => {
    signals[signal]?.obey(target, signal, seen.has(signal));
    seen.add(signal);
  };
  const names = Object.keys(signals) as NodeJS.Signals[];
  for (const signal of names) process.on(signal, obey);
  return () => {
    for (const signal of names) process.removeListener(signal, obey);
  };
}
