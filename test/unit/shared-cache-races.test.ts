// Threads and processes that work on the same ring of records at once, and are killed in the middle.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { createSharedMemory } from '../../src/os/shared-memory.ts';
import { root } from '../helpers/server.ts';

const program = path.join(root, 'test/fixtures/ring-writer.js');
/** A lap takes a few milliseconds. */
const bytes = 128 * 1024;

interface Found {
  readonly read: number;
  readonly wrong: number;
}

async function inThreads(count: number, untilMs: number, isFaulty: boolean): Promise<Found> {
  const memory = new SharedArrayBuffer(bytes);
  const threads = Array.from({ length: count }, (_, seed) => {
    return new Worker(program, { workerData: { memory, bytes, untilMs, isFaulty, seed } });
  });
  const all: Found[] = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0]));
  await Promise.all(threads.map((thread) => thread.terminate()));
  return sumOf(all);
}

function sumOf(all: readonly Found[]): Found {
  return all.reduce((sum, { read, wrong }) => ({ read: sum.read + read, wrong: sum.wrong + wrong }));
}

describe('threads that overwrite what others read', () => {
  test('never read a wrong record', async () => {
    const { read, wrong } = await inThreads(3, 500, false);
    expect(read).toBeGreaterThan(100);
    expect(wrong).toBe(0);
  });

  test('would, if a copy were not checked', async () => {
    let wrong = 0;
    for (let round = 0; round < 10 && wrong === 0; round++) wrong += (await inThreads(3, 200, true)).wrong;
    expect(wrong).toBeGreaterThan(0);
  });
});

test('processes that are killed while they write leave no wrong record, and block no other', async () => {
  const fd = createSharedMemory(bytes);
  const start = async (untilMs: number): Promise<ChildProcess> => {
    const settings = JSON.stringify({ bytes, untilMs, isFaulty: false });
    const child = fork(program, [settings], { stdio: ['ignore', 'inherit', 'inherit', fd, 'ipc'] });
    await once(child, 'message');
    return child;
  };
  try {
    const reader = await start(1200);
    const told = once(reader, 'message');
    const ended = once(reader, 'exit');
    for (let round = 0; round < 4; round++) {
      const writer = await start(60_000);
      const exited = once(writer, 'exit');
      writer.kill('SIGKILL');
      await exited;
    }
    const [{ read, wrong }] = await told;
    await ended;
    expect(read).toBeGreaterThan(100);
    expect(wrong).toBe(0);
  } finally {
    closeSync(fd);
  }
});
