// Starts the built mpserve on a free port and ends it again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const bin = path.join(import.meta.dirname, '../../bin/mpserve.js');
const startMs = 180_000;
const stopMs = 60_000;
/** Two workers: a feature that needs one worker for all connections fails. */
const sizes = ['--workers', '2', '--threads', '2'];
const running = new Set();

/** Rejects with the reason if the server does not become ready. */
export async function startServer({ folder, app, model, args, env }) {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(MPSERVE_|PORT$|NODE_OPTIONS$|NODE_ENV$|npm_)/.test(name),
  );
  const child = spawn(
    process.execPath,
    [
      bin,
      app,
      '--model',
      model,
      ...(args.includes('--workers') ? [] : sizes),
      '--bind',
      '127.0.0.1:0',
      '--boot-timeout',
      `${startMs}ms`,
      ...args,
    ],
    { cwd: folder, env: { ...Object.fromEntries(own), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const closed = once(child, 'close');
  const server = {
    origin: '',
    /** Ends the server. Its workers end with it, even if it has to be killed. */
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
      await closed;
      clearTimeout(timer);
      running.delete(server);
    },
  };
  running.add(server);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-2000);
  });
  const ready = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      let line;
      try {
        line = JSON.parse(text);
      } catch {
        return; // printed by the app
      }
      if (line.event === 'ready') resolve(line.url);
      else if (line.level >= 50) said ||= line.err?.message ?? line.msg ?? '';
    });
  });
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, startMs);
  });
  const url = await Promise.race([ready, closed.then(() => undefined), late]);
  clearTimeout(timer);
  if (typeof url === 'string') {
    server.origin = url.replace(/\/$/, '');
    return server;
  }
  await server.stop();
  throw new Error(`it did not start: ${said.trim() || 'no reason given'}`);
}

export async function stopServers() {
  await Promise.all([...running].map((server) => server.stop()));
}
