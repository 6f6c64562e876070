// The options of `prove` itself, besides the server's. They can be set on the command line only, not in a configuration
// file or in a variable.
import { choice, commaList, count, file, target, word } from './kind.js';
import { named } from './options.js';
import { duration } from './quantity.js';
import { targetUrl } from './target-url.js';

const secondMs = 1000;

const dayMs = 24 * 3600 * secondMs;

export const proveTable = named({
  target: {
    kind: targetUrl,
    description:
      'Start no server: ask the server or balancer at this URL, which runs already, while another tool deploys',
    defaultWords: 'off',
  },
  duration: {
    kind: duration(secondMs, 30 * dayMs),
    description: 'With --target: how long',
    defaultWords: 'until Ctrl-C or SIGTERM',
  },
  models: {
    kind: commaList('MODEL,…|all', word),
    description: 'The models to test; with /request, as in prethread/request, with --unit request',
    defaultWords: 'the configured model',
  },
  trials: {
    kind: commaList('NAME,…', word),
    description:
      'The trials to run: reload, broken, late-crash, scale, recycle, switch, upgrade, kill, kill-thread, hang (docs/prove.md)',
    defaultWords: 'all',
  },
  reloads: { kind: count(1, 10_000), description: 'Number of reloads in the trial reload', default: 20 },
  scalings: {
    kind: count(1, 10_000),
    description: 'Number of times that the trial scale adds or removes a worker',
    default: 10,
  },
  switches: {
    kind: choice(['some', 'all', 'none'], 'WHICH'),
    description: 'In the trial switch: to each other model and back (some), or every ordered pair of models (all)',
    default: 'some',
  },
  upgrades: { kind: count(0, 1000), description: 'Number of upgrades in the trial upgrade', default: 3 },
  url: { kind: target, description: 'The path that the clients request', default: '/' },
  clients: { kind: count(1, 1000), description: 'Number of kept-alive clients', default: 8 },
  think: {
    kind: duration(0, 60 * secondMs),
    description: 'Time between a response and the next request of the same client',
    default: 10,
  },
  json: {
    kind: { ...file, metavar: 'PATH|-' },
    description: 'Write the results to this file as JSON; - writes JSON instead of the table to standard output',
    defaultWords: 'off',
  },
});
