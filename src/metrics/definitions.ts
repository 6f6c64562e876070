// The metrics of a server: their names, and where the numbers come from. docs/metrics.md is generated from these tables.
// Names and units are those of OpenMetrics; no label has a value that a client chooses.
import { connectionMetrics } from './connection-metrics.js';
import type { Definition } from './definition.js';
import { requestMetrics } from './request-metrics.js';
import { routeMetrics } from './route-metrics.js';
import { serverMetrics } from './server-metrics.js';
import { workerMetrics } from './worker-metrics.js';

export const definitions: readonly Definition[] = [
  ...requestMetrics,
  ...connectionMetrics,
  ...workerMetrics,
  ...routeMetrics,
  ...serverMetrics,
];
