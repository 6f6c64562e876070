// The two messages of apps that were written for pm2: to the host that the app is ready, to the app that it should end.

/** Settles when the app calls `process.send('ready')` (--wait-ready). In a thread it has a `process.send` only for that. */
export function untilSaidReady(): Promise<true> {
  const { send } = process;
  return new Promise((resolve) => {
    process.send = (...args: unknown[]) => {
      if (args[0] === 'ready') resolve(true);
      return send ? Reflect.apply(send, process, args) : true;
    };
  });
}

/** @returns whether the app listens for it (--shutdown-message) */
export function sendShutdown(): boolean {
  return (process as NodeJS.EventEmitter).emit('message', 'shutdown', undefined);
}
