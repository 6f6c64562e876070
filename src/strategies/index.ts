// The only list of models. Nobody else asks which one it is: they ask a row of this table.
import { ExitCode, StartupError } from '../errors.js';
import { hybrid } from './hybrid.js';
import { ppc } from './ppc.js';
import { prefork } from './prefork.js';
import { prethread } from './prethread.js';
import type { Model, Strategy, StrategyContext } from './strategy.js';
import { tpc } from './tpc.js';

export const models: Readonly<Record<string, Model>> = { ppc, prefork, tpc, prethread, hybrid };

export function createStrategy(context: StrategyContext): Strategy {
  const { config } = context;
  const model = models[config.model];
  if (!model) throw new StartupError(ExitCode.config, `there is no model ${config.model}`);
  return new model.strategy(context, model.placement);
}
