const { createServer } = require('node:http');
const Database = require('better-sqlite3');

const db = new Database(`${__dirname}/compat.db`, { timeout: 20_000 });
db.pragma('journal_mode = WAL');
db.exec('CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, url TEXT)');
const insert = db.prepare('INSERT INTO visits (url) VALUES (?)');
const count = db.prepare('SELECT count(*) AS n FROM visits WHERE url = ?');
createServer((req, res) => {
  insert.run(req.url);
  res.end(JSON.stringify(count.get(req.url)));
}).listen(process.env.PORT || 3000);
