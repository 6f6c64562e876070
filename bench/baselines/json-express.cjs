// The same by Express.
const express = require('express');
const { items } = require('./json.cjs');

/** @param middleware in front of the app */
function create(...middleware) {
  const app = express().disable('etag');
  for (const one of middleware) app.use(one);
  return app.get('/', (_req, res) => res.json(items));
}

module.exports = Object.assign(create(), { create });
