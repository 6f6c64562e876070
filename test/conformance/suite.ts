// The one conformance suite. Whatever hosts an app must pass it, plain `node:http` as well, but for the gaps that the
// target names. A file of `cases/` is a chapter; here is only which server each chapter is run against.
import { describe, expect, test } from 'vitest';
import { bodies } from './cases/bodies.js';
import { clients } from './cases/clients.js';
import { exits, failures } from './cases/failures.js';
import { limits, tight } from './cases/limits.js';
import { logs } from './cases/logs.js';
import { requests } from './cases/requests.js';
import { upgrades } from './cases/upgrades.js';
import { kinds, served, type Target } from './target.js';

const roomy = ['--access-log', '-'];
const tightFlags = [
  `--header-timeout=${tight.headerTimeout}ms`,
  `--request-timeout=${tight.requestTimeout}ms`,
  `--keep-alive-timeout=${tight.keepAliveTimeout}ms`,
  `--max-header-size=${tight.maxHeaderSize}`,
  `--max-body-size=${tight.maxBodySize}`,
  `--max-requests-per-connection=${tight.maxRequestsPerConnection}`,
];

export function conformance(target: Target): void {
  const { tags = [] } = target;
  // A worker for each connection gets a Unix socket as it gets one of TCP, and as a pool with --accept dispatch does.
  const tagsOf = (kind: number): string[] => (kind > 0 && !target.pooled ? ['long'] : []);
  describe('with room', { tags }, () => {
    const { server, places } = served(target, roomy);
    let first: number[];
    test('it is ready', () => {
      first = server().workers();
      expect(server().ready).toMatchObject({ event: 'ready', pid: server().pid });
    });
    for (const [i, place] of places.entries()) {
      describe(`over ${kinds[i]}`, { tags: tagsOf(i) }, () => {
        for (const chapter of [requests, bodies, upgrades, clients, failures, logs]) chapter(place);
      });
    }
    if (target.pooled) {
      test('nothing of all this has ended a worker', () => expect(server().workers()).toEqual(first));
    }
    for (const [i, place] of places.entries()) {
      if (place.has('apps that exit')) describe(`over ${kinds[i]}, at last`, { tags: tagsOf(i) }, () => exits(place));
    }
  });

  describe('with tight limits', { tags }, () => {
    const { places } = served(target, tightFlags);
    for (const [i, place] of places.entries()) describe.concurrent(`over ${kinds[i]}`, () => limits(place));
  });
}
