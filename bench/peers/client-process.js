// The process of the client pool: runs the clients that its parent (client-pool.js) asks for.
import { Client } from './client.js';
import { Tally } from './tally.js';

/** When the clients stop, the longest wait for a response. */
const lastResponseTimeoutMs = 5_000;

const tally = new Tally();
let clients = [];

const handlers = {
  start({ port, connections, thinkMs }) {
    let unserved = connections;
    clients = Array.from({ length: connections }, () => {
      let isServed = false;
      const onResponse = () => {
        if (isServed) return;
        isServed = true;
        unserved--;
        if (unserved === 0) process.send({ ready: true });
      };
      return new Client({ port, thinkMs, tally, onResponse });
    });
    for (const client of clients) client.send();
  },
  resetCounts() {
    process.send({ counts: tally.reset(clients.filter(({ isWaiting }) => isWaiting).length) });
  },
  async stop() {
    await Promise.all(clients.map((client) => client.stop(lastResponseTimeoutMs)));
    process.send({ counts: tally.reset(0) }, () => process.disconnect());
  },
};

process.on('message', ({ type, ...settings }) => handlers[type](settings));
process.once('disconnect', () => process.exit()); // the parent has exited
