// The metrics of requests.
import { byLabel, type Definition, histogram, one } from './definition.js';
import {
  answeredIndex,
  cacheCounters,
  cacheOutcomes,
  cacheStoreCounters,
  cacheStoreErrors,
  methods,
  refusalReasons,
  statusClasses,
} from './layout.js';

export const requestMetrics: readonly Definition[] = [
  {
    name: 'mpserve_requests_total',
    type: 'counter',
    help: 'Requests whose responses have begun',
    labels: ['method', 'class'],
    samples: ({ counts }) =>
      methods.flatMap((method, m) =>
        statusClasses.map((statusClass, c) => ({
          labels: { method, class: statusClass },
          value: counts.answered[answeredIndex(m, c)] as number,
        })),
      ),
  },
  {
    name: 'mpserve_requests_in_flight',
    type: 'gauge',
    help: 'Requests that have begun and whose responses have not ended, those that wait for the app included',
    samples: ({ gauges }) => one(gauges.requests),
  },
  {
    name: 'mpserve_requests_waiting',
    type: 'gauge',
    help: 'Requests that wait for a place in the app (--max-inflight, --unit request)',
    samples: ({ gauges }) => one(gauges.waiting),
  },
  {
    name: 'mpserve_requests_refused_total',
    type: 'counter',
    help:
      'Requests that the server has answered in place of the app: 429 (rate-limit), 413 (too-large), 504 (deadline), ' +
      '503 (the others)',
    labels: ['reason'],
    samples: ({ counts }) => byLabel('reason', refusalReasons, counts.refused),
  },
  {
    name: 'mpserve_requests_unanswered_total',
    type: 'counter',
    help: 'Requests whose clients disconnected before the response',
    samples: ({ counts }) => one(counts.unanswered[0] as number),
  },
  {
    name: 'mpserve_responses_cut_total',
    type: 'counter',
    help: 'Answered requests of which the client did not get the whole response',
    samples: ({ counts }) => one(counts.cut[0] as number),
  },
  {
    name: 'mpserve_requests_lost_total',
    type: 'counter',
    help: 'Requests that were in flight when their worker or thread died',
    samples: ({ counts }) => one(counts.lost[0] as number),
  },
  {
    name: 'mpserve_requests_retried_total',
    type: 'counter',
    help: 'Requests that ran once more, as their threads had died (--retry-safe)',
    samples: ({ counts }) => one(counts.retried[0] as number),
  },
  {
    name: 'mpserve_request_duration_seconds',
    type: 'histogram',
    help: 'Time from a request to the end of its response',
    labels: ['le'],
    samples: ({ counts }) => histogram(counts.duration),
  },
  {
    name: 'mpserve_time_to_first_byte_seconds',
    type: 'histogram',
    help: 'Time from a request to the beginning of its response',
    labels: ['le'],
    samples: ({ counts }) => histogram(counts.firstByte),
  },
  {
    name: 'mpserve_quarantined_requests',
    type: 'gauge',
    help: 'Requests that are refused as they have killed workers (--quarantine-after), and those that are suspected',
    labels: ['state'],
    samples: ({ quarantine: { refused, suspected } }) => [
      { labels: { state: 'refused' }, value: refused },
      { labels: { state: 'suspected' }, value: suspected },
    ],
  },
  {
    name: 'mpserve_cache_requests_total',
    type: 'counter',
    help:
      'Requests by what the cache has done (--cache): answered them with a fresh (hit) or stale response, with one that the ' +
      'app has confirmed (revalidated), with the response to another client (coalesced), or had the app answer (miss, bypass)',
    labels: ['outcome'],
    samples: ({ counts }) => byLabel('outcome', cacheOutcomes, counts.cache),
  },
  {
    name: 'mpserve_cache_stored_total',
    type: 'counter',
    help: 'Responses that the cache has stored',
    samples: ({ counts }) => one(counts.cache[cacheCounters.indexOf('stored')] as number),
  },
  {
    name: 'mpserve_cache_evicted_total',
    type: 'counter',
    help: 'Stored responses that had to make room for others',
    samples: ({ counts }) => one(counts.cache[cacheCounters.indexOf('evicted')] as number),
  },
  {
    name: 'mpserve_cache_bytes',
    type: 'gauge',
    help: 'Memory that stored responses take, of that of --cache',
    samples: ({ gauges }) => one(gauges.cacheUnits * 1024),
  },
  {
    name: 'mpserve_cache_store_errors_total',
    type: 'counter',
    help:
      'Times that the store of --cache-store has not done what it was asked: no answer in time, no connection, an error ' +
      '(refused), an invalid answer (garbage), or too much was on its way there (busy)',
    labels: ['kind'],
    samples: ({ counts }) => byLabel('kind', cacheStoreErrors, counts.cacheStore),
  },
  {
    name: 'mpserve_cache_store_up',
    type: 'gauge',
    help: '0 while the store of --cache-store is down; 1 otherwise',
    samples: ({ counts: { cacheStore } }) => {
      const [down = 0, up = 0] = (['down', 'up'] as const).map((name) => cacheStore[cacheStoreCounters.indexOf(name)]);
      return one(down > up ? 0 : 1);
    },
  },
  {
    name: 'mpserve_access_lines_lost_total',
    type: 'counter',
    help: 'Lines of the access log that workers could not write',
    samples: ({ counts }) => one(counts.accessLinesLost[0] as number),
  },
];
