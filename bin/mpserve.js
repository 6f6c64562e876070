#!/usr/bin/env node
// Rejects a Node version that is too old, in syntax that old versions can parse. No other logic. CommonJS (see
// package.json in this directory), so that a server starts without Node's ES module loader.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`mpserve: needs Node 20.19 or newer; this is ${process.version} (${process.execPath})`);
  process.exitCode = 3;
} else {
  require('../dist/cli/main.cjs').main();
}
