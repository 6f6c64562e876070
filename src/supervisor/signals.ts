// What a signal to the supervisor means. One table; Node removes the default action of each signal in it.

type Action = 'stop' | 'stop, then kill';

const actions: Readonly<Partial<Record<NodeJS.Signals, Action>>> = {
  SIGTERM: 'stop',
  // Ctrl-C once is polite; who presses it again has waited long enough.
  SIGINT: 'stop, then kill',
  // The terminal is gone.
  SIGHUP: 'stop',
};

export interface SignalTarget {
  stop(reason: string): void;
  kill(): void;
}

/** @returns a function that gives the signals back to Node. */
export function obeySignals(target: SignalTarget): () => void {
  const seen = new Set<NodeJS.Signals>();
  const obey = (signal: NodeJS.Signals): void => {
    if (actions[signal] === 'stop, then kill' && seen.has(signal)) target.kill();
    else target.stop(signal);
    seen.add(signal);
  };
  const signals = Object.keys(actions) as NodeJS.Signals[];
  for (const signal of signals) process.on(signal, obey);
  return () => {
    for (const signal of signals) process.removeListener(signal, obey);
  };
}
