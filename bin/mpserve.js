#!/usr/bin/env node
// Turns away a Node that is too old to run the rest, in words that an old Node can read. No other logic. CommonJS
// (package.json beside it), so that a server starts without Node's loader of ES modules.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`mpserve: needs Node 20.19 or newer; this is ${process.version} (${process.execPath})`);
  process.exitCode = 3;
} else {
  require('../dist/cli/main.cjs').main();
}
