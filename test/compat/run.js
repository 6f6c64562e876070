// `npm run compat -- [ROW ...] [--model MODEL ...] [--folder DIR] [--no-page]`: installs each framework of `rows.js` into
// a folder, starts its app under every model, checks that the feature works, and writes the results for the Node that
// runs this into docs/compatibility.md. Rows and models that are not named keep their results there. Exits 1 if a row
// failed. It ends what it has started, and removes its folder unless --folder names one to keep.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CompatibilityPage, models } from './page.js';
import { rows } from './rows.js';
import { startServer, stopServers } from './server.js';

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', multiple: true, default: [...models] },
    folder: { type: 'string' },
    'no-page': { type: 'boolean', default: false },
  },
});
const unknown = [
  ...names.filter((name) => !rows.some((row) => row.name === name)),
  ...options.model.filter((model) => !models.includes(model)),
];
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; rows: ${rows.map(({ name }) => name).join(', ')}`);
  console.error(`models: ${models.join(', ')}`);
  process.exit(2);
}

/** A client that waits for what does not come would wait for ever (milliseconds). */
const checkMs = 120_000;
const major = Number(process.versions.node.split('.')[0]);
const root = path.resolve(options.folder ?? mkdtempSync(path.join(tmpdir(), 'mpserve-compat-')));
process.once('SIGINT', () => void stopServers().then(() => end(130)));
process.once('SIGTERM', () => void stopServers().then(() => end(143)));

const page = new CompatibilityPage(rows);
let failures = 0;
for (const row of rows) {
  await turn(); // an installation holds up the signals
  if (names.length > 0 && !names.includes(row.name)) continue;
  if (row.minNode > major) {
    say(row, `needs Node ${row.minNode}`);
    for (const model of models) page.set(row, '', model, `needs Node ${row.minNode}`);
    continue;
  }
  let folder;
  try {
    say(row, 'installing');
    folder = install(row);
  } catch (error) {
    say(row, `not installed: ${reasonOf(error)}`);
    failures++;
    continue; // what was not run is not in the table
  }
  for (const model of options.model) {
    const begun = performance.now();
    const failure = await tryRow(row, model, folder);
    // What the client saw tells less than what is known of the feature.
    const reason = failure && (row.why ?? failure);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    say(row, `${model}: ${failure ?? 'ok'} (${seconds} s)`);
    if (reason) failures++;
    page.set(row, versionOf(row, folder), model, reason ? 'no' : 'ok', reason);
  }
  if (!options['no-page']) page.write();
}
end(failures > 0 ? 1 : 0);

/** @returns the reason why it failed; undefined if it works */
async function tryRow(row, model, folder) {
  let server;
  try {
    server = await startServer({
      folder,
      app: row.serves ?? row.app,
      model,
      args: row.args ?? [],
      env: row.env ?? {},
    });
    const late = pause(checkMs, undefined, { ref: false }).then(() => {
      throw new Error(`the client was not done within ${checkMs / 1000} s`);
    });
    await Promise.race([row.check(server.origin, createRequire(path.join(folder, 'package.json'))), late]);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    await server?.stop();
  }
}

/** @returns the folder with the packages and the app. Packages that --folder already has are not installed again. */
function install(row) {
  const folder = path.join(root, `${row.shares ?? row.name}${row.isNative ? `-node${major}` : ''}`);
  const run = (command, ...args) => {
    const include = path.join(path.dirname(process.execPath), '../include/node');
    const env = {
      ...process.env,
      CI: '1',
      NEXT_TELEMETRY_DISABLED: '1',
      NUXT_TELEMETRY_DISABLED: '1',
      // This Node first, also for what the packages run; its headers, so that node-gyp need not download them.
      PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`,
      ...(existsSync(include) ? { npm_config_nodedir: path.join(include, '../..') } : {}),
    };
    execFileSync(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 900_000 });
  };
  mkdirSync(folder, { recursive: true });
  const done = path.join(folder, '.installed');
  if (!existsSync(done)) {
    // A module, because most build tools expect it; the apps name their kind by their extension.
    writeFileSync(path.join(folder, 'package.json'), `{ "private": true${row.build ? ', "type": "module"' : ''} }\n`);
    if (row.packages.length > 0) run('npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', ...row.packages);
  }
  const apps = path.join(import.meta.dirname, 'apps');
  if (path.extname(row.app) === '') cpSync(path.join(apps, row.app), folder, { recursive: true });
  else for (const file of [row.app, ...(row.files ?? [])]) cpSync(path.join(apps, file), path.join(folder, file));
  if (!existsSync(done)) row.build?.(folder, run);
  writeFileSync(done, '');
  return folder;
}

/** Of the first package, from its `package.json`. */
function versionOf({ packages: [first] }, folder) {
  if (first === undefined) return '';
  const name = first.replace(/(?<=.)@[^/]*$/, '');
  return JSON.parse(readFileSync(path.join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** The first line of an error that says something. */
function reasonOf(error) {
  const text = error.stderr ? String(error.stderr) : [error.message, error.cause?.message].filter(Boolean).join(': ');
  return text.trim().replace(/\s+/g, ' ').slice(0, 300);
}

function say({ name }, what) {
  console.log(`${new Date().toISOString().slice(11, 19)} ${name}: ${what}`);
}

function end(code) {
  if (options.folder === undefined) rmSync(root, { recursive: true, force: true });
  process.exit(code);
}
