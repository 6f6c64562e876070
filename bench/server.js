// Starts a server, waits for its ready event on stdout, and stops it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const hello = path.join(root, 'bench/baselines/hello.cjs');

/** The arguments of node that start a script in `baselines/`. */
export const baseline = (name, ...args) => [path.join(root, `bench/baselines/${name}.cjs`), ...args];
/** The arguments of node that start mpserve with the app `app`. */
export const serving = (app, ...args) => [path.join(root, 'bin/mpserve.js'), app, '--bind', '127.0.0.1:0', ...args];
/** The same with the app of the baselines. */
export const mpserve = (...args) => serving(hello, ...args);

/** Whether `url` is the script that node was started with. */
export const isMain = (url) => process.argv[1] === fileURLToPath(url);

/** @returns `pid`, `port`, `bootMs` (from spawn to ready) and `stop()` */
export async function start(command) {
  const began = performance.now();
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ready = await Promise.race([firstReady(child.stdout), once(child, 'exit').then(() => undefined)]);
  if (!ready) throw new Error(`${command.join(' ')} exited before it was ready`);
  const bootMs = performance.now() - began;
  const stop = async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return { pid: child.pid, port: ready.port ?? Number(new URL(ready.url).port), bootMs, stop };
}

async function firstReady(stdout) {
  const lines = createInterface({ input: stdout });
  for await (const line of lines) {
    const record = JSON.parse(line);
    if (record.event !== 'ready') continue;
    stdout.resume(); // discards later output, which would fill the pipe
    return record;
  }
  return undefined;
}
