import { defineConfig } from 'vitest/config';

// End-to-end tests run the built product in processes of its own; here is only what calls it.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/helpers/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: 'threads',
    // They wait for most of the time; where nobody is in a hurry, fewer disturb each other less.
    maxWorkers: Number(process.env.MPSERVE_TEST_WORKERS ?? 3),
  },
});
