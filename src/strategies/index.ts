// The only list of models. Nobody else asks which one it is: they ask a row of this table. It loads no class.
import { hybrid } from './hybrid.js';
import { ppc } from './ppc-model.js';
import { prefork } from './prefork.js';
import { prethread } from './prethread.js';
import type { Model } from './strategy.js';
import { tpc } from './tpc.js';

export const models: Readonly<Record<string, Model>> = { ppc, prefork, tpc, prethread, hybrid };
