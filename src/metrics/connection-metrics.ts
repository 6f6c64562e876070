// The metrics of connections.
import { byLabel, type Definition, one } from './definition.js';
import { closeCauses, placingPolicies } from './layout.js';

export const connectionMetrics: readonly Definition[] = [
  {
    name: 'mpserve_connections_accepted_total',
    type: 'counter',
    help: 'Connections that event loops have got; one that migrates counts again',
    samples: ({ counts }) => one(counts.opened[0] as number),
  },
  {
    name: 'mpserve_connections_closed_total',
    type: 'counter',
    help: 'Connections that have ended on an event loop, by cause; those of a worker that died are missing',
    labels: ['cause'],
    samples: ({ counts }) => byLabel('cause', closeCauses, counts.closedBy),
  },
  {
    name: 'mpserve_connections_unserved_total',
    type: 'counter',
    help: 'Connections that the server closed as no worker could have them',
    samples: ({ counts }) => one(counts.unserved[0] as number),
  },
  {
    name: 'mpserve_connections_open',
    type: 'gauge',
    help: 'Connections that event loops have',
    samples: ({ gauges }) => one(gauges.connections),
  },
  {
    name: 'mpserve_connections_placed_total',
    type: 'counter',
    help: 'Connections for which --balance has chosen a worker or thread',
    labels: ['policy'],
    samples: ({ counts }) => byLabel('policy', placingPolicies, counts.placed),
  },
  {
    name: 'mpserve_backlog_connections',
    type: 'gauge',
    help: 'Connections that the kernel queues until they are accepted; only of TCP, and on Linux',
    labels: ['listener'],
    samples: ({ queues }) => queues.map(({ url: listener, waiting: value }) => ({ labels: { listener }, value })),
  },
  {
    name: 'mpserve_backlog_limit_connections',
    type: 'gauge',
    help: 'Connections that the kernel queues at most (--backlog, net.core.somaxconn); only of TCP, and on Linux',
    labels: ['listener'],
    samples: ({ queues }) => queues.map(({ url: listener, limit: value }) => ({ labels: { listener }, value })),
  },
  {
    name: 'mpserve_received_bytes_total',
    type: 'counter',
    help: 'Bytes from clients',
    samples: ({ counts }) => one(counts.received[0] as number),
  },
  {
    name: 'mpserve_sent_bytes_total',
    type: 'counter',
    help: 'Bytes to clients',
    samples: ({ counts }) => one(counts.sent[0] as number),
  },
  {
    name: 'mpserve_sessions_placed_again_total',
    type: 'counter',
    help: 'Sessions of --sticky whose workers had gone, or that were not known',
    samples: ({ counts }) => one(counts.placedAgain[0] as number),
  },
];
