// Starts a peer in a session and scratch folder of its own, and stops it with all its processes. Linux only.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { membersOf } from './session.js';

const bootDeadlineMs = 20_000;
const stopDeadlineMs = 10_000;
const killDeadlineMs = 5_000;
/** Short compared with the fastest start. */
const pollIntervalMs = 5;
/** How much of a peer's output an error contains. */
const maxOutputChars = 2_000;

/**
 * Starts a peer and waits until it responds to `/`. Some of its workers may not be ready yet then.
 * @returns `name`, `pid`, the scratch `folder`, `url` without a path, `bootMs` from spawn to that response, and `stop()`,
 * which stops all processes of the peer, with SIGKILL 10 s after SIGTERM, and returns how many it had to kill
 * @throws Error with the end of the peer's output, if there is no response within 20 s
 */
export async function launch(peer) {
  const folder = await mkdtemp(path.join(tmpdir(), `mpserve-peer-${peer.name}-`));
  let child;
  const stop = async () => {
    const killed = child === undefined ? 0 : await end(child);
    await rm(folder, { recursive: true, maxRetries: 3 });
    return killed;
  };
  try {
    const port = await freePort();
    const { command, env, cwd } = await peer.prepare(port, folder);
    const began = performance.now();
    child = await start(command, { env: { ...process.env, ...env }, cwd }, path.join(folder, 'output.log'));
    const url = `http://127.0.0.1:${port}`;
    await waitForResponse(url, child, began + bootDeadlineMs);
    return { name: peer.name, pid: child.pid, folder, url, bootMs: performance.now() - began, stop };
  } catch (error) {
    const tail = await tailOfLogs(folder);
    await stop();
    throw new Error(`${peer.name}: ${error.message}${tail}`, { cause: error });
  }
}

/** The output goes to a file, because a full pipe would block the process. */
async function start([program, ...args], options, log) {
  const output = openSync(log, 'a');
  try {
    const child = spawn(program, args, { ...options, stdio: ['ignore', output, output], detached: true });
    await once(child, 'spawn');
    return child;
  } finally {
    closeSync(output);
  }
}

async function waitForResponse(url, child, deadline) {
  while (performance.now() < deadline) {
    if (hasExited(child))
      throw new Error(`exited with ${child.signalCode ?? child.exitCode} before its first response`);
    if ((await statusOf(url, deadline)) === 200) return;
    await pause(pollIntervalMs);
  }
  throw new Error(`no response within ${bootDeadlineMs / 1000} s`);
}

/** @returns undefined if the request fails */
function statusOf(url, deadline) {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now())));
    const request = get(url, { agent: false, signal }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.complete ? response.statusCode : undefined));
    });
    request.once('error', () => resolve(undefined));
  });
}

async function end(child) {
  if (!hasExited(child)) child.kill('SIGTERM');
  await haveExitedWithin(child, stopDeadlineMs);
  const left = membersOf(child.pid);
  for (const pid of left) kill(pid);
  if (!(await haveExitedWithin(child, killDeadlineMs))) {
    throw new Error(`still alive after SIGKILL: ${membersOf(child.pid).join(', ')}`);
  }
  return left.length;
}

async function haveExitedWithin(child, ms) {
  const deadline = performance.now() + ms;
  while (!hasExited(child) || membersOf(child.pid).length > 0) {
    if (performance.now() >= deadline) return false;
    await pause(pollIntervalMs);
  }
  return true;
}

function hasExited({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null;
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // ESRCH: the process has exited by itself
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function tailOfLogs(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')));
  const text = texts.join('\n').trim();
  return text && `\n${text.slice(-maxOutputChars)}`;
}
