// The two messages of apps that were written for pm2: to the host that the app is ready, to the app that it should end.

/**
 * Settles when the app calls `process.send('ready')` (--wait-ready). Only for that, the app has a `process.send`, a
 * `process.connected` and a `process.disconnect`, as if pm2 had started it.
 */
export function untilSaidReady(): Promise<true> {
  return new Promise((resolve) => {
    const send = (...args: unknown[]): boolean => {
      if (args[0] === 'ready') resolve(true);
      const sent = args.at(-1);
      if (typeof sent === 'function') process.nextTick(sent as (error: null) => void, null);
      return true;
    };
    const disconnect = (): void => {
      if (!process.connected) return;
      Object.assign(process, { connected: false });
      process.nextTick(() => process.emit('disconnect'));
    };
    Object.assign(process, { connected: true, send, disconnect });
  });
}

/** @returns whether the app listens for it (--shutdown-message) */
export function sendShutdown(): boolean {
  return (process as NodeJS.EventEmitter).emit('message', 'shutdown', undefined);
}
