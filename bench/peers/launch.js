// Starts a peer in a session of its own, with a scratch folder, and ends it with all that it has started. Linux only.
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
/** Between two looks: short beside the fastest start, and cheap. */
const pollMs = 5;
const tailChars = 2_000;

/**
 * Starts it and waits until it answers `/`, which need not mean that all its workers do.
 * @returns `name`, `pid`, its scratch `folder`, `url` without a path, `bootMs` from spawn to that answer, and `stop()`, which ends the whole
 * tree, by SIGKILL where 10 s after SIGTERM some of it is left, and returns how many had to be killed
 * @throws Error with the last of what it has written, when there is no answer within 20 s
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
    await firstAnswer(url, child, began + bootDeadlineMs);
    return { name: peer.name, pid: child.pid, folder, url, bootMs: performance.now() - began, stop };
  } catch (error) {
    const tail = await tailOfLogs(folder);
    await stop();
    throw new Error(`${peer.name}: ${error.message}${tail}`, { cause: error });
  }
}

/** Its output goes to a file: nobody has to read it for the process to go on. */
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

async function firstAnswer(url, child, deadline) {
  while (performance.now() < deadline) {
    if (hasEnded(child)) throw new Error(`ended with ${child.signalCode ?? child.exitCode} before it answered`);
    if ((await statusOf(url, deadline)) === 200) return;
    await pause(pollMs);
  }
  throw new Error(`no answer within ${bootDeadlineMs / 1000} s`);
}

/** @returns undefined when nobody answers. */
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
  if (!hasEnded(child)) child.kill('SIGTERM');
  await goneWithin(child, stopDeadlineMs);
  const left = membersOf(child.pid);
  for (const pid of left) kill(pid);
  if (!(await goneWithin(child, killDeadlineMs))) {
    throw new Error(`still alive after SIGKILL: ${membersOf(child.pid).join(', ')}`);
  }
  return left.length;
}

async function goneWithin(child, ms) {
  const deadline = performance.now() + ms;
  while (!hasEnded(child) || membersOf(child.pid).length > 0) {
    if (performance.now() >= deadline) return false;
    await pause(pollMs);
  }
  return true;
}

function hasEnded({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null;
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // it has ended by itself
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
  return text && `\n${text.slice(-tailChars)}`;
}
