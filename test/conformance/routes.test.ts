// The suite against workers of a route, to which another process forwards the requests.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prefork' },
  args: ['--workers', '1', '--routes', JSON.stringify([{ match: '/none/*' }, { match: '*', workers: 2 }])],
  pooled: true,
  gaps: {
    'cut failures': 'the process with the connection answers 502 where a worker has cut its answer before it began',
  },
});
