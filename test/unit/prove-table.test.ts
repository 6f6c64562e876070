// The verdict of `mpserve prove` in words, before its tables.
import { expect, test } from 'vitest';
import { type ModelResult, type Results, resultOf, schema } from '../../src/prove/results.ts';
import { table } from '../../src/prove/table.ts';

const good = (trial: string) => resultOf(trial, { times: 1 });
const lossy = (trial: string, avoidable: number) => ({ ...good(trial), avoidable });
const failed = (trial: string) => ({ ...good(trial), failure: 'a worker did not start' });
const skipped = (trial: string) => ({ ...good(trial), leftOut: 'not with this model' });

/** The lines of the verdict. */
function shortOf(proofs: readonly ModelResult[], interrupted = false): string | undefined {
  const trials = proofs.flatMap((one) => one.trials);
  const results: Results = {
    schema,
    at: '2025-11-21T08:15:42.123Z',
    machine: { node: 'v20.20.2', os: 'Linux', cpu: 'a processor', cores: 2 },
    version: '0.1.0',
    app: './app.js',
    settings: {
      url: '/',
      thinkMs: 10,
      clients: { 'kept-alive': 8, 'one request each': 2, 'slow head': 2, 'slow body': 2 },
    },
    proofs,
    notes: [],
    avoidable: trials.reduce((sum, { avoidable }) => sum + avoidable, 0),
    failures: [...proofs, ...trials].filter(({ failure }) => failure !== undefined).length,
    interrupted,
  };
  return table(results).split('\n\n')[1];
}

test.each<[title: string, proofs: readonly ModelResult[], isInterrupted: boolean, text: string]>([
  [
    'no losses',
    [{ model: 'ppc', size: '1 × 1', trials: [good('reload'), good('kill'), skipped('scale')] }],
    false,
    'In short: no avoidable losses in 2 trial(s).',
  ],
  [
    'losses and a failure, each with its trial and model',
    [
      { model: 'ppc', size: '1 × 1', trials: [lossy('reload', 1234), good('kill')] },
      { model: 'tpc', size: '1 × 1', trials: [failed('kill')] },
    ],
    false,
    [
      'In short: 1,234 avoidable loss(es) and 1 failure(s) in 3 trial(s).',
      '  reload under ppc: 1,234 lost avoidably',
      '  kill under tpc: failed',
    ].join('\n'),
  ],
  [
    'a model that did not start',
    [{ model: 'tpc', size: '', trials: [], failure: 'exit 4' }],
    false,
    'In short: no avoidable losses and 1 failure(s) in 0 trial(s).\n  tpc: did not start',
  ],
  [
    'an interrupted run',
    [{ model: 'ppc', size: '1 × 1', trials: [good('reload')] }],
    true,
    'In short, until it was interrupted: no avoidable losses in 1 trial(s).',
  ],
])('%s', (_, proofs, isInterrupted, text) => expect(shortOf(proofs, isInterrupted)).toBe(text));
