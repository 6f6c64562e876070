// The suite against prethread with `--unit request`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prethread' },
  args: ['--threads', '4', '--unit', 'request'],
  pooled: true,
  gaps: {
    upgrades: 'the connections are in the process, and the app in its threads: an upgrade gets 501',
    'workers keep connections': 'each request of a connection goes to the thread that has been free for longest',
    'cut failures': 'the process answers in place of an app that cannot: 500, and 502 when its thread has ended',
  },
});
