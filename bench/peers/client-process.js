// The process of the clients: a crowd of talkers, told by the parent what to do. The outside view is clients.js.
import { Talker } from './client.js';
import { Tally } from './tally.js';

const lastAnswerMs = 5_000;

const tally = new Tally();
let talkers = [];

const orders = {
  begin({ port, connections, thinkMs }) {
    let silent = connections;
    talkers = Array.from({ length: connections }, () => {
      let isSilent = true;
      const onAnswer = () => {
        if (!isSilent) return;
        isSilent = false;
        silent--;
        if (silent === 0) process.send({ settled: true });
      };
      return new Talker({ port, thinkMs, tally, onAnswer });
    });
    for (const talker of talkers) talker.ask();
  },
  mark() {
    process.send({ counts: tally.begin(talkers.filter(({ isWaiting }) => isWaiting).length) });
  },
  async end() {
    await Promise.all(talkers.map((talker) => talker.end(lastAnswerMs)));
    process.send({ counts: tally.begin(0) }, () => process.disconnect());
  },
};

process.on('message', ({ order, ...terms }) => orders[order](terms));
process.once('disconnect', () => process.exit()); // whoever wanted to know is gone
