// `npm run bench:endurance`: reloads, crashes, hangs, leaks, scaling and faults of the machine under load, for longer than
// a test may take.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['bench/*.trial.ts'], testTimeout: 300_000, maxWorkers: 1, reporters: ['verbose'] },
});
