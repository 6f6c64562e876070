// The type of configuration files, which is inferred from the option table: the compiler checks this file (`npm run
// typecheck`), and the package has the descriptions of the options as comments for editors.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { defineConfig, type UserConfig } from '../../src/index.ts';
import { root } from '../helpers/server.ts';
import { options } from './config-fixture.ts';

const complete: Required<UserConfig> = {
  app: undefined,
  model: 'prefork',
  accept: 'dispatch',
  balance: 'weighted',
  weights: [3, 1],
  sticky: 'cookie:sid',
  nodeArg: ['--max-old-space-size=512'],
  envFile: ['.env', '.env.local'],
  cwd: '/srv/app',
  demoFaults: false,
  serve: 'auto',
  static: ['/assets=./dist', { path: '/img', dir: './img', immutable: true }],
  spa: true,
  listing: false,
  staticMemory: '32M',
  workers: 'auto',
  unit: 'request',
  routes: [{ match: '/pdf/*', model: 'prethread', threads: 2 }, { match: '*' }],
  tasksPerThread: 2,
  retrySafe: true,
  minWorkers: 1,
  maxWorkers: 2,
  threads: 1,
  minThreads: 1,
  maxThreads: 1,
  spareMin: 1,
  spareMax: 2,
  idleTimeout: '30s',
  scaleOn: 'elu',
  spares: 0,
  bind: [8080, 'unix:app.sock'],
  port: 3000,
  host: '::1',
  backlog: 511,
  socketMode: '660',
  socketOwner: 'www-data',
  socketGroup: '33',
  secondary: 'first-worker',
  maxConnections: 100,
  headerTimeout: '500ms',
  requestTimeout: 20,
  requestDeadline: '1.5',
  keepAliveTimeout: '5m',
  maxHeaderSize: '16k',
  maxBodySize: 0,
  rateLimit: '100/s:burst=20 by ip',
  maxRequestsPerConnection: 0,
  cache: '64M',
  cacheStore: 'shared',
  cacheTtl: '10s',
  cacheSetCookie: false,
  cacheBypass: ['/admin', '/account'],
  cacheBypassCookie: 'sid',
  compress: 'br,gzip',
  maxInflight: 100,
  queueMax: 50,
  queueTimeout: '1s',
  shed: 'p99=500ms',
  healthPath: ['/healthz'],
  priorityPath: '/checkout,/pay',
  trustProxy: ['loopback', '10.0.0.0/8'],
  proxyProtocol: true,
  proxyToApp: true,
  gracefulTimeout: '1h',
  stopDelay: '10s',
  hangTimeout: 0,
  readyPath: '/ready',
  drainQuiet: '1s',
  wsDrain: '20s',
  migrate: true,
  probation: '2s',
  waitReady: true,
  shutdownMessage: true,
  canary: 0,
  quarantineAfter: 3,
  maxRequests: 0,
  maxRequestsJitter: 0,
  maxMemory: '1G',
  maxThreadHeap: '64M',
  maxAge: '12h',
  user: undefined,
  group: undefined,
  umask: '022',
  daemon: false,
  watch: ['src', 'server.js'],
  pidFile: 'app.pid',
  control: 'app.ctl',
  admin: 9090,
  adminTokenFile: undefined,
  bootTimeout: '30s',
  logFile: 'app.log',
  logLevel: 'warn',
  logFormat: 'json',
  accessLog: false,
  accessLogFormat: '$remote_addr "$request" $status',
  accessLogSample: 0.1,
  slow: '500ms',
  logRedact: ['token', 'authorization'],
  logRotate: '100M',
  logKeep: 30,
  logCompress: true,
  captureOutput: true,
};

test('the type has each option but the path of the file, and every value of it is accepted', () => {
  const keys = options.map(({ key }) => key).filter((key) => key !== 'config');
  expect(Object.keys(complete).sort()).toEqual([...keys].sort());
  for (const { key, kind } of options) {
    const value = key === 'config' ? undefined : complete[key];
    if (value !== undefined) expect(kind.read(value), key).toHaveProperty('value');
  }
});

test('the compiler refuses other keys and values', () => {
  // @ts-expect-error: no such option
  defineConfig({ workrs: 1 });
  // @ts-expect-error: no number
  defineConfig({ workers: 'many' });
  // @ts-expect-error: no unit of time
  defineConfig({ headerTimeout: '5 minutes' });
  // @ts-expect-error: no level
  defineConfig({ logLevel: 'loud' });
  // @ts-expect-error: the path of the file itself
  defineConfig({ config: 'mpserve.config.js' });
  // @ts-expect-error: true is no destination
  defineConfig(() => ({ accessLog: true }));
  defineConfig(async () => ({ accessLog: false, bind: 8080 }));
});

test('the type in the package has the description of each key', () => {
  const types = readFileSync(path.join(root, 'dist/config/user-config.d.ts'), 'utf8');
  const lines = types.split('\n');
  for (const { key, description } of options) {
    const at = lines.findIndex((line) => line.includes(`readonly ${key}?:`));
    if (key !== 'config') expect(lines[at - 1]).toContain(description);
  }
});
