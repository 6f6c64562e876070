// The app of scripts/screenshots.js: takes its time, works, fails now and then, and crashes or blocks when it is told to.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function work(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const routes = {
  '/': () => pause(2 + 10 * Math.random()),
  '/search': async () => {
    await pause(20 + 60 * Math.random());
    work(8);
  },
  '/report': () => pause(4000 + 20_000 * Math.random()),
  '/block': () => work(4000),
  '/crash': () => setImmediate(() => Promise.reject(new Error('lost the connection to the database'))) && pause(60_000),
};

module.exports = async (req, res) => {
  const [path] = req.url.split('?');
  const route = routes[path];
  if (path === '/search' && Math.random() < 0.01) res.statusCode = 502;
  await route?.();
  res.end('done\n');
};
