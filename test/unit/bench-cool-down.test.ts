// When a target counts as idle.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { coolDown } from '../../src/bench/cool-down.ts';

/** A process that is busy for `ms`, prints a line, and then stays idle. */
function busyFor(ms: number) {
  const code = `for (const end = Date.now() + ${ms}; Date.now() < end; ); console.log('done'); setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] });
  return { pid: child.pid as number, done: once(child.stdout, 'data'), end: () => child.kill('SIGKILL') };
}

test('waits for a busy process until it is idle', async () => {
  const { pid, done, end } = busyFor(1000);
  try {
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    await coolDown(pid, new AbortController().signal);
    expect(isDone).toBe(true);
  } finally {
    end();
  }
});

test('does not wait when its signal is aborted', async () => {
  const { pid, end } = busyFor(60_000);
  try {
    await coolDown(pid, AbortSignal.abort());
  } finally {
    end();
  }
});
