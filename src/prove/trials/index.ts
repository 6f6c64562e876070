// The only list of trials, in the order in which they run.
import type { Trial } from '../trial.js';
import { broken } from './broken.js';
import { hang } from './hang.js';
import { kill } from './kill.js';
import { killThread } from './kill-thread.js';
import { lateCrash } from './late-crash.js';
import { reload, scale, switching, upgrade } from './operations.js';
import { recycle } from './recycle.js';

export const trials: readonly Trial[] = [
  ...[reload, broken, lateCrash, scale, recycle],
  ...[switching, upgrade, kill, killThread, hang],
];
