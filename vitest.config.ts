import { defineConfig } from 'vitest/config';

// Every process that a test starts would read the certificates that a machine adds by this, which takes twice as long as
// the start itself, and none of them opens a TLS connection.
delete process.env.NODE_EXTRA_CA_CERTS;

// End-to-end tests run the built product in processes of its own; here is only what calls it.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/helpers/failure-log.ts'],
    reporters: ['default', './test/helpers/closing-line.ts'],
    // `npm test` leaves these out, `npm run test:all` runs them and nothing else.
    tags: [
      { name: 'long', description: 'worth running before a change lands, not at each change', timeout: 1_800_000 },
    ],
    // A test ends by what it waits for, which has a deadline of its own; these end what has none.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'threads',
    // The files that a thread runs share its modules: to load them anew for each takes as long as the unit tests themselves.
    // So a test restores what it changes of them, and does not use `vi.mock`.
    isolate: false,
    // The tests of a file start servers and wait for them. More at the same time than the cores take do not end sooner.
    maxWorkers: 3,
    maxConcurrency: 4,
  },
});
