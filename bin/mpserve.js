#!/usr/bin/env node
// Turns away a Node that is too old to run the rest, in words that an old Node can read. No other logic.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`mpserve: needs Node 20.19 or newer; this is ${process.version} (${process.execPath})`);
  process.exitCode = 3;
} else {
  import('../dist/cli/main.js').then(({ main }) => main());
}
