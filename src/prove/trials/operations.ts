// Operations of operators, each repeated under load.
import type { Variant } from '../../config/variant.js';
import type { Status } from '../../control/protocol.js';
import { repeat, type Trial } from '../trial.js';
import { circuit, star } from '../walk.js';

export const reload: Trial = {
  name: 'reload',
  summary: 'reload the configuration and the app (--reloads)',
  run: (context) => repeat(context, context.options.reloads, (i) => context.server.perform(`reload ${i}`, 'reload')),
};

export const scale: Trial = {
  name: 'scale',
  summary: 'add and remove one worker, alternately (--scalings)',
  skipReason: ({ facts }) => (facts.workers ? undefined : 'this model has no --workers setting'),
  run: (context) =>
    repeat(context, context.options.scalings, async (i) => {
      const workers = String(nextSize(await context.server.status(), i % 2 === 1));
      await context.server.perform(`scaling ${i} (to ${workers})`, 'scale', { workers });
    }),
};

/** @returns one worker more or one less than now; the other way at a limit of auto-scaling */
export function nextSize({ workers: { wanted }, range }: Pick<Status, 'workers' | 'range'>, isMore: boolean): number {
  const [min, max] = range?.workers ?? [wanted, wanted];
  if (min === max) return isMore ? wanted + 1 : wanted - 1;
  return (isMore && wanted < max) || wanted <= min ? wanted + 1 : wanted - 1;
}

export const switching: Trial = {
  name: 'switch',
  summary: 'switch to each other model and back, or from each to each (--switches all)',
  skipReason({ otherVariants, options }) {
    if (options.switches === 'none') return '--switches none';
    return otherVariants.length === 0 ? 'the settings allow no other model' : undefined;
  },
  run: (context) => {
    const { server, variant, otherVariants, options } = context;
    const walk = (options.switches === 'all' ? circuit : star)(variant, otherVariants);
    return repeat(context, walk.length - 1, async (i) => {
      const [from, to] = walk.slice(i - 1, i + 1) as [Variant, Variant];
      const words = `the switch from ${from.name} to ${to.name}`;
      await server.perform(words, 'switch', { options: { model: to.model, unit: to.unit } });
      const { model } = await server.status();
      if (model !== to.model) throw new Error(`after ${words} the model is ${model}`);
      // One that finds its settings in use already logs nothing.
      await server.waitForEvent('switched', i);
    });
  },
};

/** The successor may be of another version of mpserve or Node. */
export const upgrade: Trial = {
  name: 'upgrade',
  summary: 'replace the server process by a successor (--upgrades)',
  skipReason: ({ options }) => (options.upgrades === 0 ? '--upgrades 0' : undefined),
  run: (context) =>
    repeat(context, context.options.upgrades, async (i) => {
      await context.server.perform(`upgrade ${i}`, 'upgrade');
      await context.server.waitForSuccessor();
    }),
};
