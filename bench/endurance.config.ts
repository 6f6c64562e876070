// `npm run bench:endurance`: what an operator does to a server, and what apps do to it, for longer than a test may take.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['bench/*.trial.ts'], testTimeout: 300_000, maxWorkers: 1, reporters: ['verbose'] },
});
