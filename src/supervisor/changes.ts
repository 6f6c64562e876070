// Decides which settings a reload or a model switch changes, by the facts of each row of the option table.
import { isDeepStrictEqual } from 'node:util';
import { flatten, type Values } from '../config/config.js';
import type { Machine } from '../config/constraints.js';
import { inSections, type Loaded } from '../config/load.js';
import { type ConfigKey, configOptions, type Option, optionTable } from '../config/options.js';
import { models } from '../strategies/models.js';

const table = optionTable(Object.values(models));

export type Settings = Pick<Loaded, 'config' | 'sources' | 'env' | 'routes' | 'sizesOn'>;

/** Settings that `mpserve ctl balance` can change. */
export const placingSettings: readonly string[] = keysOf(({ section }) => section === 'placing');

/** Settings that `mpserve ctl switch` can change. */
export const switchSettings: readonly string[] = keysOf(({ isSwitchable }) => isSwitchable);

/**
 * @returns `next`, with the settings of `current` that a reload cannot change, and `ignored`: those of them that differ
 * in `next`
 */
export function applyReload(current: Settings, next: Settings): Settings & { readonly ignored: readonly ConfigKey[] } {
  const isSameModel = current.config.pool.model === next.config.pool.model;
  const kept = keysOf(({ needsRestart, dependsOnModel }) => needsRestart || (!isSameModel && dependsOnModel));
  const [before, after] = [flatten(current.config), flatten(next.config)];
  const ignored = keysOf(({ needsRestart }) => needsRestart).filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  );
  const { sizesOn } = isSameModel ? next : current;
  return { ...merge(next, current, kept), routes: reloadedRoutes(current, next), sizesOn, ignored };
}

/** Those of `current`, which a reload cannot change, with the settings of `next` that are the same for all routes. */
function reloadedRoutes(current: Settings, next: Settings): Settings['routes'] {
  if (!isDeepStrictEqual(current.config.server.routes, next.config.server.routes)) return current.routes;
  return current.routes.map((route, i) => {
    const { config, sources, sizesOn } = next.routes[i] ?? route;
    const { env } = next;
    return { ...route, ...applyReload({ ...route, env, routes: [] }, { config, sources, sizesOn, env, routes: [] }) };
  });
}

/** @returns `current`, with the switch settings of `next` */
export function applySwitch(current: Settings, next: Settings): Settings {
  const keys = keysOf(({ isSwitchable, dependsOnModel }) => isSwitchable || dependsOnModel);
  return { ...merge(current, next, keys), sizesOn: next.sizesOn };
}

/** @returns `current`, with as many workers as `auto` is on this machine; threads stay as they are */
export function applyWorkers(current: Settings, machine: Machine): Settings {
  const { workers, minWorkers, maxWorkers } = current.sizesOn(machine);
  const values = { ...flatten(current.config), workers, minWorkers, maxWorkers };
  return { ...current, config: inSections(table, values) };
}

/** @returns `current`, with the policy of `next` */
export function applyBalance(current: Settings, next: Settings): Settings {
  return merge(
    current,
    next,
    keysOf(({ section }) => section === 'placing'),
  );
}

/** @returns `to`, with `keys` of `from` */
function merge(to: Settings, from: Settings, keys: readonly ConfigKey[]): Settings {
  const pick = (values: Values | Settings['sources']) => Object.fromEntries(keys.map((key) => [key, values[key]]));
  return {
    config: inSections(table, { ...flatten(to.config), ...pick(flatten(from.config)) } as Values),
    sources: { ...to.sources, ...pick(from.sources) },
    env: to.env,
    routes: to.routes,
    sizesOn: to.sizesOn,
  };
}

function keysOf(test: (option: Option) => boolean | undefined): readonly ConfigKey[] {
  return configOptions(table)
    .filter(test)
    .map(({ key }) => key);
}
