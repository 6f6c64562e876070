// Leaks 10 kB per request, and one request in 200 crashes the process with SIGSEGV.
const leak = [];
module.exports = (_req, res) => {
  leak.push(Buffer.alloc(10_000));
  if (Math.random() < 0.005) process.kill(process.pid, 'SIGSEGV');
  setTimeout(() => res.end('done\n'), 2);
};
