// Leaks 10 kB with each request, and one in two hundred crashes in native code, which takes the process.
const leak = [];
module.exports = (_req, res) => {
  leak.push(Buffer.alloc(10_000));
  if (Math.random() < 0.005) process.kill(process.pid, 'SIGSEGV');
  setTimeout(() => res.end('done\n'), 2);
};
