// Uses about 4 ms of CPU time per request, and waits for 10 ms, as for a database. `/healthz` is answered at once.
let state = 1;
module.exports = (req, res) => {
  if (req.url === '/healthz') return res.end('ok\n');
  for (let i = 0; i < 2.5e6; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
  setTimeout(() => res.end(`${state}\n`), 10);
};
