// Makes the strategy for a group of workers: the only list of the classes.
import type { Group } from '../worker/settings.js';
import { PerConnection } from './per-connection.js';
import { Pool } from './pool.js';
import type { Hosting, Strategy } from './strategy.js';

/** @param generation of the first workers */
export function createStrategy(group: Group, hosting: Hosting, generation: number): Strategy {
  return group.isPerConnection ? new PerConnection(hosting, generation) : new Pool(hosting, generation);
}
