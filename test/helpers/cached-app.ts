// An app behind the pipeline with a cache, in this process: for tests of what the cache does with requests, many of them.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Activity } from '../../src/activity.ts';
import type { App } from '../../src/app/app.ts';
import type { Config } from '../../src/config/config.ts';
import { IncomingConnection } from '../../src/connection/incoming.ts';
import type { Coding } from '../../src/http/coding-name.ts';
import { memoryBytes } from '../../src/memory/parts.ts';
import { createPipeline, type Pipeline } from '../../src/pipeline/pipeline.ts';

export interface CachedAppOptions {
  readonly handle: App['handle'];
  readonly rules?: Partial<Config['cache']>;
  readonly bytes?: number;
  readonly isCacheOff?: boolean;
  readonly compress?: readonly Coding[];
  readonly limits?: Partial<Config['limits']>;
  readonly overload?: Partial<Config['overload']>;
  /** Several apps with the same one are event loops of one server. */
  readonly memory?: SharedArrayBuffer;
  readonly slot?: number;
  /** Several apps with the same one share what they store. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

const rules: Config['cache'] = {
  cache: 1,
  cacheStore: 'memory',
  cacheTtl: 0,
  cacheSetCookie: false,
  cacheBypass: [],
  cacheBypassCookie: [],
};

const limits: Config['limits'] = {
  headerTimeout: 20_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 65_536,
  maxBodySize: 0,
  maxRequestsPerConnection: 0,
  rateLimit: undefined,
  requestDeadline: 0,
  drainQuiet: 1000,
  wsDrain: 0,
};

const overload: Config['overload'] = {
  maxInflight: 0,
  queueMax: 0,
  queueTimeout: 0,
  shed: undefined,
  healthPath: [],
  priorityPath: [],
};

export class CachedApp implements AsyncDisposable {
  private constructor(
    readonly url: string,
    readonly pipeline: Pipeline,
    /** Events of the log, in order. */
    readonly told: readonly string[],
    private readonly sockets: ReadonlySet<Socket>,
    private readonly end: () => Promise<void>,
  ) {}

  get connections(): number {
    return this.sockets.size;
  }

  static async start(options: CachedAppOptions): Promise<CachedApp> {
    const told: string[] = [];
    const pipeline = await createPipeline({
      app: { kind: 'listener', handle: options.handle },
      limits: { ...limits, ...options.limits },
      limitsGiven: [],
      access: { accessLogFormat: 'json', accessLogSample: 1, slow: undefined, logRedact: [] },
      clients: { trustProxy: [], proxyProtocol: false, proxyToApp: false },
      maxConnections: 10_000,
      accessLog: undefined,
      busy: undefined,
      journal: undefined,
      memory: options.memory ?? new SharedArrayBuffer(memoryBytes),
      cacheMemory: options.cacheMemory,
      slot: { index: options.slot ?? 0, isShared: false },
      overload: { ...overload, ...options.overload },
      files: undefined,
      isForwarded: false,
      cache: options.isCacheOff
        ? undefined
        : {
            bytes: options.bytes ?? 16 * 1024 ** 2,
            rules: { ...rules, cache: options.bytes ?? 1, ...options.rules },
          },
      compress: options.compress,
      counts: false,
      countsAnswers: false,
      sessions: { sticky: undefined },
      onSession: () => {},
      migrationChannel: undefined,
      identity: { pid: process.pid, tid: 0 },
      tell: (one) => void told.push('kind' in one ? one.kind : one.event),
      activity: new Activity(),
    });
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
      void pipeline.adopt(new IncomingConnection(socket));
    });
    await once(server.listen(0, '127.0.0.1', 4096), 'listening');
    return new CachedApp(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      pipeline,
      told,
      sockets,
      async () => {
        server.close();
        for (const socket of sockets) socket.destroy();
        await pipeline.drain(0);
      },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
