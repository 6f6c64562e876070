// Waits 20 ms per request, like an app that waits for a database.
module.exports = (_req, res) => setTimeout(() => res.end('done\n'), 20);
