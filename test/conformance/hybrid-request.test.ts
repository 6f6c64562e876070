// The suite against hybrid with `--unit request`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'hybrid' },
  args: ['--workers', '2', '--threads', '4', '--unit', 'request'],
  pooled: true,
  tags: ['long'],
  gaps: {
    upgrades: 'the connections are in the processes, and the app in their threads: an upgrade gets 501',
    'workers keep connections': 'each request of a connection goes to the thread that has been free for longest',
    'cut failures': 'the process answers in place of an app that cannot: 500, and 502 when its thread has ended',
  },
});
