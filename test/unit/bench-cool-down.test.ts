// When a server counts as being at rest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { atRest } from '../../src/bench/cool-down.ts';

/** Computes for `ms`, says so, and then does nothing. */
function busyFor(ms: number) {
  const code = `for (const end = Date.now() + ${ms}; Date.now() < end; ); console.log('done'); setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] });
  return { pid: child.pid as number, done: once(child.stdout, 'data'), end: () => child.kill('SIGKILL') };
}

test('who still computes is not at rest, who waits is', async () => {
  const { pid, done, end } = busyFor(1000);
  try {
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    await atRest(pid, new AbortController().signal);
    expect(isDone).toBe(true);
  } finally {
    end();
  }
});

test('nobody waits for it after Ctrl-C', async () => {
  const { pid, end } = busyFor(60_000);
  try {
    await atRest(pid, AbortSignal.abort());
  } finally {
    end();
  }
});
