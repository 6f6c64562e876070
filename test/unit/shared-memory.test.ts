// What happens to mapped memory when the thread that mapped it ends.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Threads that map the same memory twice, write all of it, and end. */
const program = `
  const { Worker } = require('node:worker_threads');
  const shared = ${JSON.stringify(import.meta.resolve('../../dist/os/shared-memory.js'))};
  const thread = \`(async () => {
    const { createSharedMemory, mapSharedMemory } = await import('\${shared}');
    const bytes = 196608;
    for (let i = 0; i < 5; i++) {
      const fd = createSharedMemory(bytes);
      const [one, two] = [1, 2].map(() => new Uint8Array(mapSharedMemory(fd, bytes)));
      one.fill(i + 1);
      if (two[0] !== i + 1 || two[bytes - 1] !== i + 1) throw new Error('not shared');
      require('node:fs').closeSync(fd);
    }
  })()\`;
  const run = () => new Promise((ended, failed) => {
    new Worker(thread, { eval: true }).on('error', failed).on('exit', ended);
  });
  (async () => {
    for (let i = 0; i < 8; i++) await Promise.all([run(), run()]);
    console.log('done');
  })();
`;

test('the C library does not reuse mapped pages for its heap', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--eval', program]);
  expect(stdout).toBe('done\n');
});
