// Does what goes wrong in apps: /hoard fills the heap, /open takes every descriptor until /close.
const { closeSync, openSync } = require('node:fs');

const hoard = [];
const fds = [];

const routes = {
  '/': (res) => setTimeout(() => res.end('well'), 2),
  '/wait': (res) => setTimeout(() => res.end('waited'), 200),
  '/hoard': (res) => {
    for (let i = 0; i < 20_000; i++) hoard.push({ i, text: `${i}` });
    setImmediate(routes['/hoard'], res);
  },
  '/open': (res) => {
    try {
      for (;;) fds.push(openSync('/dev/null'));
    } catch (error) {
      res.end(error.code);
    }
  },
  '/close': (res) => {
    for (const fd of fds.splice(0)) closeSync(fd);
    res.end();
  },
};

module.exports = (req, res) => routes[req.url.split('?')[0]](res);
