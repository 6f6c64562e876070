// `/heavy` uses 100 ms of CPU time, `/block` blocks its event loop for three seconds; other requests complete at once.
const { readFileSync } = require('node:fs');

/** Of this thread (milliseconds). `process.cpuUsage()` is that of all threads of the process. */
const cpuMs = () => Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e6;

const loops = {
  '/heavy': () => {
    const end = cpuMs() + 100;
    while (cpuMs() < end) for (let i = 0; i < 1e5; i++) Math.sqrt(i);
  },
  '/block': () => {
    for (const end = Date.now() + 3000; Date.now() < end; );
  },
};

module.exports = (req, res) => {
  loops[req.url]?.();
  res.end('done\n');
};
