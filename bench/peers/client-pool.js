// Clients that keep asking a server, in a process of their own, so that they share no event loop with anybody. What
// goes on there is in crowd.js.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const crowd = fileURLToPath(new URL('client-process.js', import.meta.url));

/**
 * Starts to ask for `/` over kept-alive connections.
 * @param {{ port: number, connections: number, thinkMs: number }} terms `thinkMs` from an answer to the next request
 * @returns `settled`, a promise that each connection has had an answer; `mark()`, which returns what was counted and
 * begins to count anew; `end()`, which waits for the last answers and returns what was counted since; `kill()`
 */
export function startClients(terms) {
  const child = fork(crowd, [], { execArgv: [], detached: true }); // Ctrl-C is for us, who end it in order
  const answers = new Map();
  const told = (key) => new Promise((resolve, reject) => answers.set(key, { resolve, reject }));
  child.on('message', (message) => {
    for (const [key, value] of Object.entries(message)) answers.get(key)?.resolve(value);
  });
  child.once('exit', (code, signal) => {
    for (const { reject } of answers.values()) reject(new Error(`the clients ended with ${signal ?? code}`));
  });
  const ask = (order) => {
    const counts = told('counts');
    child.send({ order });
    return counts;
  };
  const settled = told('settled');
  settled.catch(() => {}); // nobody may have been waiting for it
  child.send({ order: 'begin', ...terms });
  return { settled, mark: () => ask('mark'), end: () => ask('end'), kill: () => child.kill('SIGKILL') };
}
