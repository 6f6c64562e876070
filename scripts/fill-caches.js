// Runs what was built once, as its users do, so that V8 keeps the functions that a start needs beside each file
// (docs/decisions/0028-code-caches.md). Without them everything works, and starts later.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../bin/mpserve.js', import.meta.url));
/** The last one that runs a file decides: most servers run prefork. */
const models = ['tpc', 'ppc', 'prethread', 'prefork'];
const deadlineMs = 20_000;

/** Of what is in `dist/`. */
export async function fillCaches() {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-build-'));
  try {
    for (const model of models) await serveOnce(model, folder);
  } catch (error) {
    console.warn(
      `mpserve will start more slowly: it could not be run for V8 to keep what it compiles: ${error.message}`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function serveOnce(model, folder) {
  const bind = path.join(folder, model);
  const control = `${bind}.ctl`;
  const server = run(['--model', model, '--bind', `unix:${bind}`, '--control', control, '--access-log', `${bind}.log`]);
  const exited = once(server, 'exit');
  try {
    const lines = createInterface({ input: server.stdout });
    for await (const line of lines) if (line.includes('"event":"ready"')) break;
    for (let i = 0; i < 3; i++) await request(bind);
    await once(run(['ctl', 'status', '--control', control]).stdout.resume(), 'close');
    server.kill('SIGTERM');
    const [code] = await exited;
    if (code !== 0) throw new Error(`the server has exited with ${code}`);
  } finally {
    server.kill('SIGKILL');
  }
}

function run(args) {
  return spawn(process.execPath, [command, ...args], {
    env: { PATH: process.env.PATH, _MPSERVE_FILL_CACHES: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: deadlineMs,
  });
}

async function request(socketPath) {
  const [response] = await once(get({ socketPath, path: '/', agent: false }), 'response');
  await once(response.resume(), 'end');
}
