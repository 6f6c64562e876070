// Waits for 20 ms, as for a database.
module.exports = (_req, res) => setTimeout(() => res.end('done\n'), 20);
