// Makes the strategy of a model: the only list of the classes.
import type { Config } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import { models } from './index.js';
import { ProcessPerConnection } from './per-connection.js';
import { Pooled } from './pooled.js';
import type { Model, Placement, Strategy, StrategyContext } from './strategy.js';

type StrategyClass = new (context: StrategyContext, placementOf: (config: Config) => Placement) => Strategy;

const classes: { readonly [S in Model['strategy']]: StrategyClass } = { ppc: ProcessPerConnection, pooled: Pooled };

export function createStrategy(context: StrategyContext): Strategy {
  const { config } = context;
  const model = models[config.model];
  if (!model) throw new StartupError(ExitCode.config, `there is no model ${config.model}`);
  return new classes[model.strategy](context, model.placement);
}
