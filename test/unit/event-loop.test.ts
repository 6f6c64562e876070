// Whether the event loop of another process waits for events.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { ProcessEventLoop } from '../../src/os/event-loop.ts';
import { hasProc } from '../../src/os/process-tree.ts';
import { eventually } from '../helpers/eventually.ts';

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});

async function running(code: string): Promise<ProcessEventLoop> {
  const child = spawn(process.execPath, ['-e', `console.log('begun');${code}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return new ProcessEventLoop(child.pid as number);
}

describe.runIf(hasProc)('the event loop of another process', () => {
  test('waits when there is nothing to do', async () => {
    const loop = await running('setInterval(() => {}, 100_000)');
    await eventually('it to wait', () => loop.waits === true);
    loop.close();
    expect(loop.waits).toBeUndefined();
  });

  test.each([
    ['runs', 'for (;;);'],
    ['sleeps in a system call', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
  ])('does not wait while it %s', async (_, code) => {
    const loop = await running(code);
    for (let looks = 0; looks < 20; looks++) {
      expect(loop.waits).toBe(false);
      await new Promise((turn) => setTimeout(turn, 5));
    }
    loop.close();
  });

  test('is not known when the process has ended, or is not ours to see', async () => {
    const loop = await running('setInterval(() => {}, 100_000)');
    await eventually('it to wait', () => loop.waits === true);
    const [child] = children as [ChildProcess];
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(loop.waits).toBeUndefined();
    expect(new ProcessEventLoop(2 ** 30).waits).toBeUndefined();
  });
});
