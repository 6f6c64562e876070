// The starts and exits of workers and threads, for the status of the server.
import type { Restarts } from '../control/protocol.js';
import { exitCauses } from '../reports/exit-cause.js';
import { exitIndex, units } from './layout.js';
import type { Counts } from './totals.js';

export function restartsOf({ starts, exits }: Pick<Counts, 'starts' | 'exits'>): Restarts {
  const [processes = 0, threads = 0] = starts;
  const all = units.flatMap((unit) =>
    exitCauses.map((cause) => ({ unit, cause, count: exits[exitIndex(unit, cause)] ?? 0 })),
  );
  return { starts: { processes, threads }, exits: all.filter(({ count }) => count > 0) };
}
