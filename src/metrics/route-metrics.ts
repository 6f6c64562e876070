// The metrics of routes, which have workers of their own. Their requests are in the metrics of requests as well.
import { type Definition, histogram } from './definition.js';
import { answeredIndex, methods, refusalReasons, statusClasses } from './layout.js';

export const routeMetrics: readonly Definition[] = [
  {
    name: 'mpserve_route_requests_total',
    type: 'counter',
    help: 'Requests that the workers of a route have answered',
    labels: ['route', 'class'],
    samples: ({ routes }) =>
      routes.flatMap(({ match: route, counts }) =>
        statusClasses.map((statusClass, c) => ({
          labels: { route, class: statusClass },
          value: methods.reduce((sum, _, m) => sum + (counts.answered[answeredIndex(m, c)] as number), 0),
        })),
      ),
  },
  {
    name: 'mpserve_route_requests_in_flight',
    type: 'gauge',
    help: 'Requests that the workers of a route have, those that wait for the app included',
    labels: ['route'],
    samples: ({ routes }) => routes.map(({ match: route, gauges }) => ({ labels: { route }, value: gauges.requests })),
  },
  {
    name: 'mpserve_route_requests_waiting',
    type: 'gauge',
    help: 'Requests that wait for a place in the app of a route',
    labels: ['route'],
    samples: ({ routes }) => routes.map(({ match: route, gauges }) => ({ labels: { route }, value: gauges.waiting })),
  },
  {
    name: 'mpserve_route_requests_refused_total',
    type: 'counter',
    help: 'Requests that the workers of a route have answered in place of the app',
    labels: ['route', 'reason'],
    samples: ({ routes }) =>
      routes.flatMap(({ match: route, counts }) =>
        refusalReasons.map((reason, i) => ({ labels: { route, reason }, value: counts.refused[i] as number })),
      ),
  },
  {
    name: 'mpserve_route_request_duration_seconds',
    type: 'histogram',
    help: 'Time from a request to the end of its response, in the workers of a route',
    labels: ['route', 'le'],
    samples: ({ routes }) =>
      routes.flatMap(({ match: route, counts }) =>
        histogram(counts.duration).map((sample) => ({ ...sample, labels: { route, ...sample.labels } })),
      ),
  },
  {
    name: 'mpserve_route_workers_ready',
    type: 'gauge',
    help: 'Worker processes of a route that are ready',
    labels: ['route'],
    samples: ({ status }) =>
      (status.routes ?? []).map(({ match: route, workers }) => ({ labels: { route }, value: workers.ready })),
  },
];
