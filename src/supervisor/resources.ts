// What a server has from start to exit. All its strategies use the same.
import type { Queues } from '../connection/queues.js';
import type { Events } from '../events.js';
import type { Quarantine } from '../inflight/quarantine.js';
import type { ServerMemory } from '../memory/server-memory.js';
import type { HostCounters } from '../metrics/host-counters.js';
import type { MigrationChannel } from '../migration/channel.js';
import type { SlotRanges } from '../overload/slot-ranges.js';
import type { Reports } from '../reports/reports.js';
import type { ProcessOptions } from '../worker/fork.js';
import type { CacheMemory } from './cache-memory.js';
import type { HealthWatch } from './health.js';
import type { Listener } from './listener.js';
import type { SecondaryListeners } from './secondary-listeners.js';

export interface ServerResources {
  readonly listeners: readonly Listener[];
  /** That the app is told. */
  readonly addresses: ProcessOptions['app']['addresses'];
  /** All of them, those of which the descriptor comes first. */
  readonly queues: Queues;
  readonly accessLog: ProcessOptions['accessLog'];
  readonly quarantine: Quarantine;
  readonly reports: Reports;
  readonly health: HealthWatch;
  /** undefined without --admin. */
  readonly counters: HostCounters | undefined;
  readonly events: Events;
  /** undefined if connections cannot migrate. */
  readonly migrationChannel: MigrationChannel | undefined;
  readonly memory: ServerMemory;
  readonly cacheMemory: CacheMemory;
  /** Those in the memory that count requests. */
  readonly slots: SlotRanges;
  /** For the app's secondary servers. */
  readonly secondary: SecondaryListeners;
  /** Open connections that the supervisor has accepted. */
  readonly accepted: { count: number };
  /** Those of each route, by what it matches. */
  readonly routes: RouteResources;
}

/** Of one route. */
export interface ResourcesOfRoute extends Omit<ServerResources, 'routes'> {
  /** Of the file of its socket, in a directory that only the workers' user may enter. */
  readonly path: string;
}

export interface RouteResources {
  /** @param match of the route */
  get(match: string): ResourcesOfRoute;
  close(): void;
}
