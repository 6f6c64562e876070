// An Express app with one route.
const express = require('express');

const app = express();
app.get('/', (_req, res) => {
  res.send('hello, world\n');
});
module.exports = app;
