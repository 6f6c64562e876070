// The only list of trials, in the order in which they run.
import type { Trial } from '../trial.js';
import { broken } from './broken.js';
import { hang } from './hang.js';
import { kill } from './kill.js';
import { recycle } from './recycle.js';
import { reload } from './reload.js';
import { scale } from './scale.js';
import { switching } from './switch.js';
import { upgrade } from './upgrade.js';

export const trials: readonly Trial[] = [reload, broken, scale, recycle, switching, upgrade, kill, hang];
