// `npm run bench:zipf [-- STORE ...]`: how many requests a cache answers, and how fast, where some pages are asked for far more
// often than others: of 10,000, page n with a frequency of 1/n. With 1, 4 and 8 workers, and with a cache that holds all
// pages, and one that holds about a tenth. A store may be the URL of a Redis server, which holds what it holds. Exits 1 if a shared store answers 2 % less than one worker with its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import autocannon from 'autocannon';
import { root, serving, start } from './server.js';

const pages = 10_000;
const amount = Number(process.env.REQUESTS) || 50_000;
const connections = 32;
const app = path.join(root, 'bench/baselines/zipf.cjs');
const caches = [
  ['all', '64M'],
  ['a tenth', '5M'],
];
const workers = [1, 4, 8];
const stores = process.argv.length > 2 ? process.argv.slice(2) : ['memory', 'shared'];
/** Below one worker with its own store (a part of all requests). */
const maxLoss = 0.02;

const upTo = new Float64Array(pages);
for (let i = 0, sum = 0; i < pages; i++) upTo[i] = sum += 1 / (i + 1);

const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const hitRates = new Map();
try {
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${amount} requests after as many\n`);
  console.log('| cache holds | store | workers | hit rate | p50 | p99 | requests/s |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [holds, size] of caches) {
    for (const store of stores) {
      if (store.includes('://') && holds !== 'all') continue;
      for (const count of workers) {
        const { hitRate, p50, p99, rate } = await measure(store, size, count);
        hitRates.set(`${holds} ${store} ${count}`, hitRate);
        const percent = `${(100 * hitRate).toFixed(1)} %`;
        console.log(
          `| ${holds} | ${nameOf(store)} | ${count} | ${percent} | ${p50} ms | ${p99} ms | ${Math.round(rate)} |`,
        );
      }
    }
  }
  for (const [holds] of caches) {
    const own = hitRates.get(`${holds} memory 1`);
    for (const store of stores.filter((one) => one !== 'memory')) {
      for (const count of workers) {
        const loss = own - hitRates.get(`${holds} ${store} ${count}`);
        if (!(loss > maxLoss)) continue;
        console.log(
          `\n${nameOf(store)}, ${count} workers, a cache for ${holds}: ${(100 * loss).toFixed(1)} % below one worker`,
        );
        process.exitCode = 1;
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true });
}

/** Without the password and the path of a URL. */
function nameOf(store) {
  return store.split('://')[0];
}

/** Each measurement begins with an empty cache. */
function withPrefix(store, count) {
  return store.includes('://') ? `${store}?prefix=zipf-${process.pid}-${count}` : store;
}

async function measure(store, size, count) {
  const control = path.join(scratch, 'control');
  const server = await start(
    serving(
      app,
      '--model',
      'prefork',
      '--workers',
      `${count}`,
      '--cache',
      size,
      '--cache-store',
      withPrefix(store, count),
      '--control',
      control,
    ),
  );
  try {
    await load(server, 1);
    const before = await statsOf(control);
    const { times, seconds, non2xx } = await load(server, 2);
    const after = await statsOf(control);
    if (non2xx > 0) throw new Error(`${non2xx} responses were no success`);
    const of = (name) => after[name] - before[name];
    const answered = of('hits') + of('coalesced') + of('stale') + of('revalidated');
    return {
      hitRate: answered / (answered + of('misses')),
      p50: at(times, 0.5),
      p99: at(times, 0.99),
      rate: amount / seconds,
    };
  } finally {
    await server.stop();
  }
}

/** @param part from 0 to 1 of the sorted times, in milliseconds */
function at(times, part) {
  return times[Math.floor(part * (times.length - 1))].toFixed(1);
}

/** @param seed the same pages in the same order. @returns how long each response took, and all */
async function load({ port }, seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return pageAt((state / 2 ** 32) * upTo[pages - 1]);
  };
  const setupRequest = (one) => ({ ...one, path: `/${next()}` });
  const times = [];
  const began = performance.now();
  let ended = began;
  const loading = autocannon({ url: `http://127.0.0.1:${port}/`, connections, amount, requests: [{ setupRequest }] });
  // Its own figures are of whole milliseconds and seconds.
  loading.on('response', (_client, _status, _bytes, ms) => {
    times.push(ms);
    ended = performance.now();
  });
  const { non2xx } = await loading;
  return { times: times.sort((one, other) => one - other), seconds: (ended - began) / 1000, non2xx };
}

/** The first page up to which the frequencies add up to more. */
function pageAt(sum) {
  let [low, high] = [0, pages - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (upTo[middle] > sum) high = middle;
    else low = middle + 1;
  }
  return low;
}

function statsOf(socketPath) {
  return new Promise((done, failed) => {
    request({ socketPath, path: '/cache' }, async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      done(JSON.parse(text));
    })
      .on('error', failed)
      .end();
  });
}
