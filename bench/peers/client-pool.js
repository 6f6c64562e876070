// The client pool: starts and stops clients that keep sending requests. The clients run in a process of their own
// (client-process.js), so that they share no event loop with other code.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const clientProcess = fileURLToPath(new URL('client-process.js', import.meta.url));

/**
 * Starts clients that request `/` over keep-alive connections.
 * @param {{ port: number, connections: number, thinkMs: number }} settings `thinkMs` from a response to the next request
 * @returns `ready`, a promise that resolves when each client has had a response; `resetCounts()`, which returns the counts
 * and resets them; `stop()`, which waits for the last responses and returns the counts since; `kill()`
 */
export function startClientPool(settings) {
  const child = fork(clientProcess, [], { execArgv: [], detached: true }); // Ctrl-C goes to this process only
  const pending = new Map();
  const receive = (key) => new Promise((resolve, reject) => pending.set(key, { resolve, reject }));
  child.on('message', (message) => {
    for (const [key, value] of Object.entries(message)) pending.get(key)?.resolve(value);
  });
  child.once('exit', (code, signal) => {
    for (const { reject } of pending.values()) reject(new Error(`the client process exited with ${signal ?? code}`));
  });
  const request = (type) => {
    const counts = receive('counts');
    child.send({ type });
    return counts;
  };
  const ready = receive('ready');
  ready.catch(() => {}); // the caller may not be waiting any more
  child.send({ type: 'start', ...settings });
  return {
    ready,
    resetCounts: () => request('resetCounts'),
    stop: () => request('stop'),
    kill: () => child.kill('SIGKILL'),
  };
}
