const compression = require('compression');
const express = require('express');
const session = require('express-session');
const multer = require('multer');
const FileStore = require('session-file-store')(session);

const app = express();
const store = new FileStore({
  path: `${__dirname}/sessions`,
  logFn() {},
  retries: 20,
  minTimeout: 20,
  maxTimeout: 100,
});
app.use(compression({ threshold: 0 }));
app.use(session({ secret: 'compat', resave: false, saveUninitialized: true, store }));
app.get('/', (_req, res) => res.send('express '.repeat(500)));
app.get('/visits', (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.json({ visits: req.session.visits });
});
app.post('/upload', multer({ dest: `${__dirname}/uploads` }).single('file'), (req, res) => {
  res.json({ name: req.file.originalname, size: req.file.size, field: req.body.field });
});
app.get('/fails', async () => {
  throw new Error('failed on purpose');
});
app.listen(process.env.PORT || 3000);
