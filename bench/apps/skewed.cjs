// `/heavy` uses 100 ms of CPU time, `/block` blocks its event loop for three seconds; other requests complete at once.
const { cpuUsage } = process;

const loops = {
  '/heavy': () => {
    const { user, system } = cpuUsage();
    for (let used = 0; used < 100_000; ) {
      for (let i = 0; i < 1e5; i++) Math.sqrt(i);
      const now = cpuUsage();
      used = now.user + now.system - user - system;
    }
  },
  '/block': () => {
    for (const end = Date.now() + 3000; Date.now() < end; );
  },
};

module.exports = (req, res) => {
  loops[req.url]?.();
  res.end('done\n');
};
