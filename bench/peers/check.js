// `node bench/peers/check.js [NAME ...]`: starts each installed peer, requests each of its routes, stops it and checks that
// no process is left. Exits 1 if a check fails.
import assert from 'node:assert/strict';
import { peers } from './index.js';
import { launch } from './launch.js';
import { membersOf } from './session.js';

const checks = {
  '/': async (url) => {
    const { body, type } = await fetched(`${url}/`);
    assert.equal(body.toString(), 'Hello, World!');
    assert.match(type, /^text\/plain\b/);
  },
  '/cpu': (url) => takesAtLeast(40, () => fetched(`${url}/cpu?ms=40`)),
  '/wait': (url) => takesAtLeast(40, () => fetched(`${url}/wait?ms=40`)),
  '/crash': async (url) => {
    await fetch(`${url}/crash`).catch(() => {}); // a worker has crashed, and the next request must succeed
    await checks['/'](url);
  },
  '/bytes': async (url, { onlyBytes }) => {
    for (const n of onlyBytes ? [onlyBytes] : [0, 1, 65_536, 1_000_000]) {
      const { body } = await fetched(`${url}/bytes?n=${n}`);
      assert.equal(body.length, n);
    }
  },
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !peers.some((peer) => peer.name === name));
if (unknown.length > 0) throw new Error(`unknown peer: ${unknown.join(', ')}`);

for (const peer of peers.filter(({ name }) => chosen.length === 0 || chosen.includes(name))) {
  const version = await peer.version();
  if (version === undefined) {
    console.log(`${peer.name}: not installed; needs ${peer.needs}`);
    continue;
  }
  try {
    const bootMs = await check(peer);
    console.log(`${peer.name} ${version}: passed ${peer.routes.join(' ')}, ready in ${bootMs.toFixed(0)} ms`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`${peer.name} ${version}: FAILED: ${error.message}`);
  }
}

async function check(peer) {
  const { pid, url, bootMs, stop } = await launch(peer);
  let killed;
  try {
    for (const route of peer.routes) await checks[route](url, peer);
  } finally {
    killed = await stop();
  }
  assert.equal(killed, 0, `${killed} of its processes did not exit on SIGTERM`);
  assert.deepEqual(membersOf(pid), []);
  return bootMs;
}

async function fetched(url) {
  const response = await fetch(url, { headers: { connection: 'close' } });
  assert.equal(response.status, 200, url);
  return { body: Buffer.from(await response.arrayBuffer()), type: response.headers.get('content-type') ?? '' };
}

async function takesAtLeast(ms, action) {
  const began = performance.now();
  await action();
  const took = performance.now() - began;
  // A timer may fire a millisecond early.
  assert.ok(took >= ms - 1, `took ${took.toFixed(1)} ms instead of ${ms}`);
}
