// `npm run compat:node -- [--source FOLDER] [--passed FILE] [NAME ...]`: runs Node's own tests of its HTTP server, plain and over a
// captured server (`captured.js`), and writes those that pass plain and fail captured into docs/compatibility.md. They
// come from the source of the Node that runs this, which is downloaded into a temporary folder, or from `--source`, a
// folder that has it unpacked. The names of the tests that need not run again are kept in `--passed`, so that a run which was
// stopped can go on; a file for each Node. Exits 1 if a test fails for which `known-differences.js` has no reason.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reasons } from './known-differences.js';
import { table, today, writeSection } from './page.js';

const testMs = 30_000;
/** At the same time: most of a test's time is its start. */
const concurrency = 2;
/** Whether a test has a server of its own that is not made from one of its arguments. */
const isServerTest = /createServer|new (http\.)?Server|\bhttp\.Server\(/;

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { source: { type: 'string' }, passed: { type: 'string' }, 'no-page': { type: 'boolean', default: false } },
});
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-node-tests-'));
const running = new Set();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
])
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL');
    end(code);
  });

const source = options.source ?? download();
const folder = path.join(source, 'test/parallel');
const files = readdirSync(folder).filter(
  (file) =>
    /^test-http-.*\.m?js$/.test(file) &&
    (names.length === 0 || names.includes(file)) &&
    isServerTest.test(readFileSync(path.join(folder, file), 'utf8')),
);
/** By the name of the test: `both` or `not plain`. */
const passed = new Map(
  options.passed && existsSync(options.passed)
    ? readFileSync(options.passed, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(': '))
    : [],
);
const waiting = files.filter((file) => !passed.has(file));
const failed = [];
const counts = { both: 0, 'not plain': 0, captured: 0 };
for (const file of files) if (passed.has(file)) counts[passed.get(file)]++;
await Promise.all(Array.from({ length: concurrency }, work));

failed.sort((a, b) => a.file.localeCompare(b.file));
const unexplained = failed.filter(({ file }) => reasons[file] === undefined);
const gone = names.length > 0 ? [] : Object.keys(reasons).filter((file) => !failed.some((one) => one.file === file));
for (const { file, said } of unexplained) console.log(`\nnot explained: ${file}\n${said}`);
for (const file of gone) console.log(`explained, but did not fail here: ${file}`);
console.log(`\n${summary()}`);
if (!options['no-page'] && names.length === 0) {
  const lines = failed.map(({ file }) => [`\`${file}\``, reasons[file] ?? 'not explained']);
  writeSection(
    `tests of node ${process.versions.node.split('.')[0]}`,
    `${summary()}\n\n${table([['test', 'reason'], ...lines])}`,
  );
}
end(unexplained.length > 0 ? 1 : 0);

async function work() {
  for (;;) {
    const file = waiting.shift();
    if (file === undefined) return;
    const plain = await run(file, []);
    // A failure that does not repeat is the machine's.
    const captured =
      plain && (await retried(() => run(file, ['--import', path.join(import.meta.dirname, 'captured.js')])));
    const result = !plain.ok ? 'not plain' : captured.ok ? 'both' : 'captured';
    counts[result]++;
    if (result === 'captured') failed.push({ file, said: captured.said });
    else if (options.passed) appendFileSync(options.passed, `${file}: ${result}\n`);
    const words = { both: 'ok', 'not plain': 'fails without mpserve, too', captured: 'FAILS over a captured server' };
    console.log(`${new Date().toISOString().slice(11, 19)} ${file}: ${words[result]}`);
  }
}

async function retried(once) {
  const first = await once();
  return first.ok ? first : once();
}

async function run(file, args) {
  const whole = path.join(folder, file);
  const flags = /^\/\/ Flags: (.*)$/m.exec(readFileSync(whole, 'utf8'))?.[1].trim().split(/\s+/) ?? [];
  const child = spawn(process.execPath, [...flags, ...args, whole], {
    cwd: source,
    env: { ...process.env, NODE_TEST_DIR: scratch, TEST_THREAD_ID: String(waiting.length % 100), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: testMs,
    killSignal: 'SIGKILL',
  });
  running.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-3000);
    });
  const [code, signal] = await once(child, 'close');
  running.delete(child);
  return { ok: code === 0, said: `${said}\n${signal ? `did not end within ${testMs / 1000} s` : `exit code ${code}`}` };
}

function summary() {
  const { both, captured } = counts;
  return `Node ${process.versions.node}, the tests of ${sourceVersion()}, ${today()}: of ${both + captured} tests that pass on plain Node, ${both} pass over a captured server and ${captured} do not.`;
}

function sourceVersion() {
  const header = readFileSync(path.join(source, 'src/node_version.h'), 'utf8');
  return ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(header)[1]).join('.');
}

function download() {
  const version = `v${process.versions.node}`;
  const archive = path.join(scratch, 'node.tar.gz');
  console.log(`downloading the source of Node ${version}`);
  execFileSync('curl', ['-fsSL', '-o', archive, `https://nodejs.org/dist/${version}/node-${version}.tar.gz`], {
    stdio: 'inherit',
  });
  execFileSync('tar', [
    'xzf',
    archive,
    '-C',
    scratch,
    '--strip-components=1',
    '--wildcards',
    '*/test/*',
    '*/src/node_version.h',
  ]);
  return scratch;
}

function end(code) {
  rmSync(scratch, { recursive: true, force: true });
  process.exit(code);
}
