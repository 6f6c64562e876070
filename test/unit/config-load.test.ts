// Loading the configuration: defaults, precedence, options that depend on the model, warnings, and errors.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/config/address.ts';
import { origin } from '../../src/config/source.ts';
import { configure, refusal } from './config-fixture.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(path.join(os.tmpdir(), 'mpserve-config-'));
});
afterEach(() => rm(cwd, { recursive: true }));

const put = (name: string, content: unknown) =>
  writeFile(path.join(cwd, name), typeof content === 'string' ? content : JSON.stringify(content));

describe('defaults', () => {
  test('without settings, the demo app runs under prefork on 127.0.0.1:8080', async () => {
    const { config, sections, warnings, sources } = await configure([], { cwd });
    expect(config).toEqual({
      app: undefined,
      model: 'prefork',
      bind: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
      workers: 4,
      minWorkers: 4,
      maxWorkers: 4,
      unit: 'connection',
      tasksPerThread: 1,
      retrySafe: false,
      routes: [],
      threads: 1,
      minThreads: 1,
      maxThreads: 1,
      spareMin: 1,
      spareMax: 2,
      idleTimeout: 30_000,
      scaleOn: 'busy',
      quarantineAfter: 3,
      maxThreadHeap: 0,
      accept: 'shared',
      balance: 'least-connections',
      weights: [],
      maxConnections: 10_000,
      port: undefined,
      host: undefined,
      backlog: 511,
      headerTimeout: 20_000,
      requestTimeout: 300_000,
      keepAliveTimeout: 5_000,
      maxInflight: 0,
      queueMax: 100,
      queueTimeout: 1000,
      shed: undefined,
      healthPath: [],
      priorityPath: [],
      cache: 0,
      cacheStore: 'memory',
      cacheTtl: 0,
      cacheSetCookie: false,
      cacheBypass: [],
      cacheBypassCookie: [],
      compress: [],
      trustProxy: [],
      proxyProtocol: false,
      proxyToApp: false,
      gracefulTimeout: 30_000,
      stopDelay: 0,
      admin: undefined,
      adminTokenFile: undefined,
      bootTimeout: 30_000,
      waitReady: false,
      maxHeaderSize: 16_384,
      maxBodySize: 0,
      rateLimit: undefined,
      maxRequestsPerConnection: 0,
      requestDeadline: 0,
      hangTimeout: 30_000,
      readyPath: undefined,
      drainQuiet: 1000,
      wsDrain: 20_000,
      migrate: true,
      probation: 1000,
      shutdownMessage: false,
      canary: 0,
      spares: 0,
      maxRequests: 0,
      maxRequestsJitter: 0,
      maxMemory: 0,
      maxAge: 0,
      user: undefined,
      group: undefined,
      umask: undefined,
      socketMode: 0o600,
      socketOwner: undefined,
      socketGroup: undefined,
      daemon: false,
      watch: [],
      pidFile: undefined,
      control: undefined,
      logFile: undefined,
      logLevel: 'info',
      logFormat: undefined,
      accessLog: undefined,
      accessLogFormat: 'json',
      accessLogSample: 1,
      slow: undefined,
      logRedact: [],
      logRotate: undefined,
      logKeep: 14,
      logCompress: false,
      captureOutput: false,
      nodeArg: [],
      envFile: [],
      cwd: undefined,
      demoFaults: false,
      serve: 'auto',
      static: [],
      spa: false,
      listing: false,
      staticMemory: 32 * 1024 ** 2,
      secondary: 'all',
    });
    expect(warnings).toEqual([]);
    expect(Object.keys(sources).sort()).toEqual(Object.keys(config).sort());
    expect(Object.isFrozen(sections) && Object.values(sections).every((section) => Object.isFrozen(section))).toBe(
      true,
    );
    expect(Object.isFrozen(config.bind) && Object.isFrozen(config.nodeArg)).toBe(true);
  });

  test.each([
    ['ppc', { workers: 1, threads: 1, accept: undefined, maxConnections: 256 }],
    ['prethread', { workers: 1, threads: 8, accept: 'dispatch', maxConnections: 10_000 }],
    ['hybrid', { workers: 4, threads: 16, accept: 'shared', maxConnections: 10_000 }],
  ])('the model %s has defaults of its own', async (model, expected) => {
    const { config, sources } = await configure(['--model', model]);
    expect(config).toMatchObject(expected);
    expect(origin(sources.maxConnections)).toBe(`by the model ${model}`);
  });

  test('auto never exceeds 1024 threads in all workers together', async () => {
    const both = await configure(['--model', 'hybrid'], { cores: 600 });
    expect(both.config).toMatchObject({ workers: 600, threads: 1 });
    const workers = await configure(['--model', 'hybrid', '--threads', '256'], { cores: 600 });
    expect(workers.config).toMatchObject({ workers: 4, threads: 256 });
    const threads = await configure(['--model', 'hybrid', '--workers', '2'], { cores: 600 });
    expect(threads.config).toMatchObject({ workers: 2, threads: 512 });
  });

  test('auto never exceeds the memory of the container', async () => {
    const memory = 512 * 1024 ** 2;
    expect((await configure([], { cores: 16, memory })).config).toMatchObject({ workers: 4, maxWorkers: 4 });
    const threads = await configure(['--model', 'prethread'], { cores: 16, memory });
    expect(threads.config).toMatchObject({ workers: 1, threads: 7 });
    const given = await configure(['--workers', '9'], { cores: 16, memory });
    expect(given.config).toMatchObject({ workers: 9 });
  });

  test('a cache is divided among the event loops that have connections', async () => {
    const argv = ['--model', 'hybrid', '--workers', '2', '--threads', '4', '--cache'];
    await expect(configure([...argv, '511k'])).rejects.toThrow(/for 8 workers and threads/);
    expect((await configure([...argv, '512k'])).config.cache).toBe(512 * 1024);
    await expect(configure([...argv, '127k', '--unit', 'request'])).rejects.toThrow(/for 2 workers and threads/);
    expect((await configure([...argv, '128k', '--unit', 'request'])).config.cache).toBe(128 * 1024);
  });

  test('a cache never exceeds the memory of the container', async () => {
    const memory = 512 * 1024 ** 2;
    const argv = ['--workers', '2', '--cache'];
    expect(await refusal([...argv, '513M'], { memory })).toEqual([
      2,
      '--cache (513M) is more than the 512M of memory there is',
    ]);
    expect((await configure([...argv, '512M'], { memory })).config.cache).toBe(memory);
  });

  test.each([
    [['--max-workers', '9'], { workers: 4, minWorkers: 4, maxWorkers: 9 }],
    [['--max-workers', '2'], { workers: 2, minWorkers: 2, maxWorkers: 2 }],
    [['--min-workers', '1'], { workers: 4, minWorkers: 1, maxWorkers: 4 }],
    [['--min-workers', '6'], { workers: 6, minWorkers: 6, maxWorkers: 6 }],
    [['--workers', '2', '--max-workers', '8'], { workers: 2, minWorkers: 2, maxWorkers: 8 }],
    [['--workers', '2', '--min-workers', '1', '--max-workers', '8'], { workers: 2, minWorkers: 1, maxWorkers: 8 }],
    [['--model', 'prethread', '--max-threads', '16'], { workers: 1, threads: 8, minThreads: 8, maxThreads: 16 }],
  ])('%j sets the range in which a pool scales', async (argv, expected) => {
    expect((await configure(argv)).config).toMatchObject(expected);
  });

  test.each([
    [['--min-workers', '5', '--max-workers', '2'], /^--min-workers \(5\) must be no more than --max-workers \(2\)$/],
    [['--workers', '9', '--max-workers', '8'], /^--workers \(9\) must be from 8 to 8/],
    [['--workers', '1', '--min-workers', '2', '--max-workers', '8'], /^--workers \(1\) must be from 2 to 8/],
    [['--spare-min', '5', '--spare-max', '2'], /^--spare-max \(2\) must be at least --spare-min \(5\)$/],
    [['--spare-min', '3'], /^--spare-max \(2 by default\) must be at least --spare-min \(3\)$/],
    [['--spare-max', '0'], /^--spare-max \(0\) must be at least --spare-min \(1 by default\)$/],
    [['--model', 'hybrid', '--max-workers', '100', '--max-threads', '100'], /is 10000 threads; at most 1024/],
    [
      ['--balance', 'least-connections'],
      /^--balance needs --accept dispatch: without it each worker accepts by itself$/,
    ],
    [['--balance', 'ip-hash', '--accept', 'shared'], /^--balance needs --accept dispatch/],
    [['--balance', 'round-robin'], /^--balance needs --accept dispatch/],
    [['--balance', 'least-conections'], /^--balance must be round-robin, .*; did you mean least-connections\?$/],
    [['--accept', 'dispatch', '--balance', 'weighted'], /^--balance weighted needs --weights, as in --weights 3,1$/],
    [['--accept', 'dispatch', '--weights', '3,1'], /^--weights needs --balance weighted$/],
    [
      ['--sticky', 'ip'],
      /^--sticky needs --unit request, or --accept dispatch with --model prefork or prethread: without it each worker accepts by itself$/,
    ],
    [['--sticky', 'sid'], /^--sticky must be ip, cookie:NAME, query:NAME or header:NAME, as in cookie:sid, not 'sid'/],
    [
      ['--model', 'ppc', '--sticky', 'cookie:sid'],
      /^--sticky needs .*: the model ppc starts a worker for each connection$/,
    ],
    [
      ['--model', 'hybrid', '--accept', 'dispatch', '--sticky', 'query:sid'],
      /^--sticky needs .*: the model hybrid has several processes that accept by themselves$/,
    ],
    [
      ['--sticky', 'cookie:a=b'],
      /^--sticky must be ip, cookie:NAME, query:NAME or header:NAME, as in cookie:sid, not 'cookie:a=b'/,
    ],
    [
      ['--accept', 'dispatch', '--balance', 'weighted', '--weights', '3,1', '--workers', '3'],
      /^--weights has 2 weights for 3 workers; give one for each$/,
    ],
    [
      ['--model', 'hybrid', '--accept', 'dispatch', '--balance', 'weighted', '--weights', '3,1,1'],
      /^--weights has 3 weights for 16 threads; give one for each$/,
    ],
    [['--proxy-protocol'], /^--proxy-protocol needs --trust-proxy, as in --trust-proxy loopback/],
    [['--admin', '0.0.0.0:9090'], /^--admin would show the server to other machines: give --admin-token-file/],
    [['--admin-token-file', 'token'], /^--admin-token-file needs --admin/],
    [['--proxy-to-app'], /^--proxy-to-app needs --proxy-protocol/],
    [['--trust-proxy', '10.0.0.0/33'], /^--trust-proxy must be loopback, private, an IP address, or a network such as/],
    [
      ['--unit', 'request'],
      /^--unit request needs --model prethread or hybrid: the model prefork has no pool of threads$/,
    ],
    [
      ['--unit', 'request', '--model', 'hybrid', '--balance', 'round-robin'],
      /^--balance needs --unit connection: with --unit request the thread that has been free for longest gets the next request$/,
    ],
    [['--unit', 'request', '--model', 'hybrid', '--weights', '1,2'], /^--weights needs --unit connection: /],
    [['--unit', 'request', '--model', 'ppc'], /^--unit request needs --model prethread or hybrid: the model ppc/],
    [
      ['--unit', 'request', '--model', 'hybrid', '--accept', 'dispatch'],
      /^--accept dispatch needs --unit connection: with --unit request the process of the threads accepts$/,
    ],
    [
      ['--unit', 'request', '--model', 'hybrid', '--max-inflight', '3'],
      /^--max-inflight needs --unit connection: with --unit request as many requests are in the app as/,
    ],
    [['--model', 'prethread', '--tasks-per-thread', '2'], /^--tasks-per-thread needs --unit request/],
    [['--model', 'prethread', '--retry-safe'], /^--retry-safe needs --unit request/],
    [['--queue-timeout', '1s'], /^--queue-timeout needs --max-inflight, as in --max-inflight 100: how many requests/],
    [['--queue-max', '7', '--max-inflight', '0'], /^--queue-max needs --max-inflight/],
    [['--shed', 'p99=500ms'], /^--shed needs --max-inflight/],
    [['--priority-path', '/checkout'], /^--priority-path needs --max-inflight/],
    ...['p99=500', 'p99', '500ms', 'p100=1s', 'p49=1s', 'p99=1ms', 'p99=2h', 'p99=x', 'P99=1s'].map(
      (goal): [string[], RegExp] => [
        ['--max-inflight', '9', '--shed', goal],
        /^--shed must be a goal such as p99=500ms or p95=2s: p50 to p99, and a time with its unit from 10ms to 1h, not '/,
      ],
    ),
    [['--max-inflight', '9', '--queue-timeout', '0'], /^--queue-timeout must be a time such as/],
    [['--max-inflight', 'many'], /^--max-inflight must be a whole number from 0 to 1000000, not 'many'$/],
    ...['healthz', '/a,b', '/a?b=1', '/a b', ''].map((path): [string[], RegExp] => [
      ['--max-inflight', '9', '--health-path', path],
      /^--health-path must be a path on the server that starts with \/, such as \/healthz, without a query, not '/,
    ]),
    [['--cache-ttl', '10s'], /^--cache-ttl needs --cache, as in --cache 64M: the memory for responses$/],
    [['--cache-bypass', '/admin'], /^--cache-bypass needs --cache/],
    [['--cache-bypass-cookie', 'sid', '--cache', '0'], /^--cache-bypass-cookie needs --cache/],
    [['--cache-set-cookie'], /^--cache-set-cookie needs --cache/],
    [['--cache', '1T'], /^--cache \(1T\) is more than the .* of memory there is$/],
    [
      ['--cache', '128k'],
      /^--cache \(128k\) is too little for 4 workers and threads, which have a part each; give 256k or more$/,
    ],
    ...['all', '-1', '64X', '', '1e9', '0x10', 'NaN'].map((bytes): [string[], RegExp] => [
      ['--cache', bytes],
      /^--cache must be a size such as 16k, 64M or 1G, or a number of bytes, from 0 to 1T, not '/,
    ]),
    [
      ['--cache', '64M', '--cache-store', 'redis'],
      /^--cache-store must be memory, shared or the URL of a Redis server, as in redis:\/\/localhost\?prefix=shop, not 'redis'$/,
    ],
    [['--cache-store', 'redis://localhost?prefix=shop'], /^--cache-store needs --cache, as in --cache 64M/],
    [['--cache-store', 'shared'], /^--cache-store needs --cache, as in --cache 64M: the memory for responses$/],
    [
      ['--cache', '512k', '--cache-store', 'shared'],
      /^--cache must be from 1M to 4G with --cache-store shared, not 512k$/,
    ],
    [['--cache', '64M', '--cache-bypass-cookie', 'a b'], /^--cache-bypass-cookie must be the name of a cookie/],
    [['--cache', '64M', '--cache-bypass', 'admin'], /^--cache-bypass must be a path on the server/],
    [['--weights', '3,0'], /^--weights must be integers from 1 to 1000, separated by commas, not '0'$/],
    [['--weights', ''], /^--weights must be integers/],
  ])('%j is refused', async (argv, message) => {
    const [code, line] = await refusal(argv);
    expect(code).toBe(2);
    expect(line).toMatch(message);
  });

  test('the default control socket is beside the pid file', async () => {
    const { config, sources } = await configure(['--pid-file', '/run/app.pid']);
    expect(config.control).toBe('/run/app.ctl');
    expect(origin(sources.control)).toBe('from --pid-file');
    const given = await configure(['--pid-file', '/run/app.pid', '--control', '/run/other.ctl']);
    expect(origin(given.sources.control)).toBe('from --control');
  });

  test('a shorter request timeout shortens the default header timeout', async () => {
    expect((await configure(['--request-timeout', '5'])).config.headerTimeout).toBe(5_000);
    expect((await configure(['--request-timeout', '0'])).config.headerTimeout).toBe(20_000);
  });

  test('the default time to close WebSockets never exceeds the graceful timeout', async () => {
    expect((await configure(['--graceful-timeout', '5'])).config.wsDrain).toBe(5_000);
    expect((await configure(['--graceful-timeout', '5', '--ws-drain', '5'])).config.wsDrain).toBe(5_000);
    expect((await configure(['--graceful-timeout', '60'])).config.wsDrain).toBe(20_000);
  });
});

describe('where to listen', () => {
  const listening = async (argv: string[], env: Record<string, string> = {}) => {
    const { config, sources } = await configure(argv, { env, cwd });
    return [...config.bind.map(formatAddress), origin(sources.bind)];
  };

  test.each<[string[], Record<string, string>, string[]]>([
    [['--port', '3000'], {}, ['127.0.0.1:3000', 'from --port']],
    [['-p', '3000'], {}, ['127.0.0.1:3000', 'from --port']],
    [['-p=3000', '--host', 'localhost'], {}, ['localhost:3000', 'from --port']],
    [['--host', '::'], {}, ['[::]:8080', 'from --host']],
    [['--host', '[::1]'], { PORT: '3000' }, ['[::1]:3000', 'from PORT']],
    [[], { PORT: '3000' }, ['0.0.0.0:3000', 'from PORT']],
    [[], { PORT: '3000', MPSERVE_HOST: '127.0.0.1' }, ['127.0.0.1:3000', 'from PORT']],
    [['-p', '1'], { PORT: '3000' }, ['127.0.0.1:1', 'from --port']],
    [[], { PORT: '' }, ['127.0.0.1:8080', 'by default']],
    [['--bind', ':1'], { PORT: '3000' }, ['0.0.0.0:1', 'from --bind']],
    [['--bind', ':1'], { PORT: 'not even read' }, ['0.0.0.0:1', 'from --bind']],
    [['--bind', ':1'], { PORT: '3000', MPSERVE_HOST: '::' }, ['0.0.0.0:1', 'from --bind']],
    [['-p', '3000'], { MPSERVE_BIND: ':1' }, ['127.0.0.1:3000', 'from --port']],
  ])('%j with %j', async (argv, env, expected) => {
    expect(await listening(argv, env)).toEqual(expected);
  });

  test('bind in the file overrides PORT, and is overridden by --port', async () => {
    await put('mpserve.config.json', { bind: ':1' });
    const file = path.join(cwd, 'mpserve.config.json');
    expect(await listening([], { PORT: '3000' })).toEqual(['0.0.0.0:1', `in ${file}`]);
    expect(await listening(['--port', '3000'])).toEqual(['127.0.0.1:3000', 'from --port']);
  });

  test('PORT overrides port in the file', async () => {
    await put('mpserve.config.json', { port: 1, host: '::1' });
    const file = path.join(cwd, 'mpserve.config.json');
    expect(await listening([])).toEqual(['[::1]:1', `in ${file}`]);
    expect(await listening([], { PORT: '3000' })).toEqual(['[::1]:3000', 'from PORT']);
  });

  test('two settings of the same precedence are refused', async () => {
    const message = (a: string, b: string) => [2, `${a} and ${b} both say where to listen; remove one of them`];
    expect(await refusal(['--bind', '1', '-p', '2'])).toEqual(message('--port', '--bind'));
    expect(await refusal(['--bind', '1', '--host', '::'])).toEqual(message('--host', '--bind'));
    const env = { MPSERVE_BIND: '1', MPSERVE_HOST: '::', PORT: '2' };
    expect(await refusal([], { env })).toEqual(message('MPSERVE_HOST', 'MPSERVE_BIND'));
    await put('mpserve.config.json', { port: 1, bind: 2 });
    const file = path.join(cwd, 'mpserve.config.json');
    expect(await refusal([], { cwd })).toEqual(message(`port in ${file}`, `bind in ${file}`));
  });
});

describe('precedence', () => {
  test('a flag overrides a variable, a variable the file, and the file a default', async () => {
    await put('mpserve.config.json', { backlog: 1, headerTimeout: '1s', model: 'hybrid', logLevel: 'warn' });
    const env = { MPSERVE_BACKLOG: '2', MPSERVE_HEADER_TIMEOUT: '2s', MPSERVE_LOG_LEVEL: '' };
    const { config, sources } = await configure(['--backlog', '3'], { cwd, env });
    expect(config).toMatchObject({ backlog: 3, headerTimeout: 2_000, model: 'hybrid', logLevel: 'warn' });
    const told = [sources.backlog, sources.headerTimeout, sources.model, sources.logFormat].map(origin);
    const file = path.join(cwd, 'mpserve.config.json');
    expect(told).toEqual(['from --backlog', 'from MPSERVE_HEADER_TIMEOUT', `in ${file}`, 'by default']);
  });

  test('--config overrides MPSERVE_CONFIG, and that the file in the current directory', async () => {
    await put('mpserve.config.json', { backlog: 1 });
    await put('two.json', { backlog: 2 });
    await put('three.json', { backlog: 3 });
    const env = { MPSERVE_CONFIG: 'two.json' };
    expect((await configure([], { cwd })).config.backlog).toBe(1);
    expect((await configure([], { cwd, env })).config.backlog).toBe(2);
    expect((await configure(['--config', 'three.json'], { cwd, env })).config.backlog).toBe(3);
  });

  test('a value that a flag overrides is not checked', async () => {
    const { config } = await configure(['--workers', '2'], { env: { MPSERVE_WORKERS: 'many' } });
    expect(config.workers).toBe(2);
  });

  test('a relative path in the file is resolved against the directory of the file', async () => {
    await put('app.mjs', '');
    const file = { app: 'app.mjs', logFile: 'x.log', accessLog: '-', bind: ['unix:x.sock', 'unix:/x.sock'] };
    await put('mpserve.config.json', file);
    const { config } = await configure(['--config', path.join(cwd, 'mpserve.config.json')]);
    expect(config).toMatchObject({
      app: path.join(cwd, 'app.mjs'),
      logFile: path.join(cwd, 'x.log'),
      accessLog: '-',
      bind: [{ path: path.join(cwd, 'x.sock') }, { path: '/x.sock' }],
    });
  });

  test('the path of an app in the file keeps its last slash, which says that it is a directory', async () => {
    await put('mpserve.config.json', { app: './' });
    const { config } = await configure(['--config', path.join(cwd, 'mpserve.config.json')]);
    expect(config.app).toBe(`${cwd}/`);
  });

  test('white space separates the items of a list in a variable, and a flag is repeated', async () => {
    const env = { MPSERVE_BIND: ' :1  [::1]:2 ', MPSERVE_NODE_ARG: '--a --b=1,2' };
    const { config } = await configure([], { env });
    expect(config.bind).toHaveLength(2);
    expect(config.nodeArg).toEqual(['--a', '--b=1,2']);
    const flags = await configure(['--bind', ':1', '--node-arg=--a', '--bind', ':0', '--bind', ':0'], { env });
    expect(flags.config.bind).toHaveLength(3);
    expect(flags.config.nodeArg).toEqual(['--a']);
  });

  test('--no- turns a switch off', async () => {
    const env = { MPSERVE_CAPTURE_OUTPUT: 'yes' };
    expect((await configure(['--capture-output'])).config.captureOutput).toBe(true);
    expect((await configure([], { env })).config.captureOutput).toBe(true);
    expect((await configure(['--no-capture-output'], { env })).config.captureOutput).toBe(false);
  });

  test.each([
    ['app.mjs', 'app.mjs'],
    ['./app', './app.mjs'],
    ['app.mjs#admin', 'app.mjs#admin'],
    ['app#admin', 'app.mjs#admin'],
    ['public', 'public'],
    ['static', 'static'],
    ['source', 'source.js'],
    ['source#x', 'source.js#x'],
    ['./source/', './source/'],
    ['we#ird.mjs', 'we#ird.mjs'],
    ['we#ird#x', 'we#ird.mjs#x'],
  ])('the app %s is found as %s', async (app, found) => {
    await put('app.mjs', '');
    await put('we#ird.mjs', '');
    await writeFile(path.join(cwd, 'public'), '');
    for (const folder of ['static', 'source']) await mkdir(path.join(cwd, folder));
    await put('source.js', '');
    expect((await configure([app], { cwd })).config.app).toBe(found);
    expect((await configure([], { cwd, env: { MPSERVE_APP: app } })).config.app).toBe(found);
  });
});

describe('warnings', () => {
  test.each([
    ['--workers', ['--model', 'ppc', '--workers', '2'], {}, '--workers does nothing with the model ppc'],
    ['MPSERVE_THREADS', [], { MPSERVE_THREADS: '2' }, 'MPSERVE_THREADS does nothing with the model prefork'],
    ['--accept', ['--model', 'ppc', '--accept', 'shared'], {}, '--accept does nothing with the model ppc'],
  ])('%s without an effect in the model', async (_name, argv, env, warning) => {
    expect((await configure(argv, { env: env as Record<string, string> })).warnings).toEqual([warning]);
  });

  test('--demo-faults with an app', async () => {
    await put('app.mjs', '');
    expect((await configure(['app.mjs', '--demo-faults'], { cwd })).warnings).toEqual([
      '--demo-faults does nothing when an app is given',
    ]);
    expect((await configure(['--demo-faults'])).warnings).toEqual([]);
  });

  test('MPSERVE_PORT with a number, because PORT is the variable of --port', async () => {
    expect((await configure([], { env: { MPSERVE_PORT: '3000' } })).warnings).toEqual([
      'unknown environment variable MPSERVE_PORT is ignored; did you mean PORT?',
    ]);
  });

  test('a mistyped variable, but not the variables that Kubernetes sets', async () => {
    const env = { MPSERVE_WORKRS: '2', MPSERVE_PORT: 'tcp://10.0.0.1:80', MPSERVE_SERVICE_HOST: '10.0.0.1' };
    expect((await configure([], { env })).warnings).toEqual([
      'unknown environment variable MPSERVE_WORKRS is ignored; did you mean MPSERVE_WORKERS?',
    ]);
  });
});

describe('a policy without --accept dispatch', () => {
  const policy = 'needs --accept dispatch: without it each worker accepts by itself';

  test('is refused if a user has chosen it, also by the name of the default', async () => {
    const env = { MPSERVE_BALANCE: 'least-connections' };
    expect(await refusal([], { env })).toEqual([2, `MPSERVE_BALANCE ${policy}`]);
    await put('mpserve.config.json', { balance: 'ip-hash' });
    expect(await refusal([], { cwd })).toEqual([2, `balance in ${path.join(cwd, 'mpserve.config.json')} ${policy}`]);
    await put('mpserve.config.json', { weights: [3, 1] });
    expect(await refusal([], { cwd })).toEqual([2, `weights in ${path.join(cwd, 'mpserve.config.json')} ${policy}`]);
  });

  test('is accepted in a file if it is the default', async () => {
    await put('mpserve.config.json', { balance: 'least-connections', accept: 'shared' });
    expect((await configure([], { cwd })).warnings).toEqual([]);
  });

  test('has no effect if an operator has set it, until connections are handed over', async () => {
    const operator = { balance: 'weighted', weights: '3,1' };
    const shared = await configure(['--workers', '3'], { operator: { ...operator, accept: 'shared' } });
    expect(shared.warnings).toEqual(['mpserve ctl balance does nothing without --accept dispatch']);
    const again = await configure(['--workers', '2'], { operator: { ...operator, accept: 'dispatch' } });
    expect(again.warnings).toEqual([]);
    expect(again.config).toMatchObject({ balance: 'weighted', weights: [3, 1] });
  });

  test('has no effect in a model that starts a worker for each connection', async () => {
    await put('mpserve.config.json', { balance: 'weighted', weights: [3, 1], accept: 'dispatch' });
    const file = path.join(cwd, 'mpserve.config.json');
    expect((await configure(['--model', 'ppc'], { cwd })).warnings).toEqual(
      ['accept', 'balance', 'weights'].map((key) => `${key} in ${file} does nothing with the model ppc`),
    );
    expect((await configure(['--model', 'ppc', '--balance', 'weighted'])).warnings).toEqual([
      '--balance does nothing with the model ppc',
    ]);
  });
});

describe('errors', () => {
  test.each<[string, string[], string]>([
    ['an unknown flag', ['--workrs', '3'], 'unknown flag --workrs; did you mean --workers?'],
    ['a flag in camel case', ['--maxHeaderSize=1'], 'unknown flag --maxHeaderSize; did you mean --max-header-size?'],
    ['a flag that resembles none', ['--quux'], 'unknown flag --quux; mpserve --help lists the flags'],
    ['a short flag', ['-x'], 'unknown flag -x; mpserve --help lists the flags'],
    [
      'a flag with the name of a property of Object',
      ['--constructor', 'x'],
      'unknown flag --constructor; mpserve --help lists the flags',
    ],
    ['the negation of a value', ['--no-bind'], 'unknown flag --no-bind; mpserve --help lists the flags'],
    ['a mistyped model', ['--model', 'prefrok'], "not 'prefrok'; did you mean prefork?"],
    ['a model that resembles none', ['--model', 'x'], "--model must be ppc, prefork, prethread or hybrid, not 'x'"],
    ['a missing value', ['--workers'], '--workers needs a value; write --workers=VALUE'],
    ['a flag instead of a value', ['--node-arg', '--inspect'], '--node-arg needs a value; write --node-arg=VALUE'],
    ['a short flag without its value', ['-p'], '-p needs a value; write -p=VALUE'],
    ['a short flag and the long one', ['-p', '1', '--port', '2'], '--port is given 2 times (1, 2); give it once'],
    ['a port of letters', ['-p', 'http'], "--port must be a whole number from 0 to 65535, not 'http'"],
    ['a host with a port', ['--host', 'a:1'], "--host must be a host name or an IP address, without a port, not 'a:1'"],
    ['a host that is a socket', ['--host', 'unix:/x'], '--host must be a host name or an IP address'],
    ['an empty value', ['--workers='], "--workers must be a whole number from 1 to 1024, or auto, not ''"],
    ['a value out of range', ['--workers', '0'], "--workers must be a whole number from 1 to 1024, or auto, not '0'"],
    ['a value of the wrong type', ['--backlog', 'x'], "--backlog must be a whole number from 1 to 65535, not 'x'"],
    ['a value for a switch', ['--demo-faults=x'], '--demo-faults takes no value'],
    ['a flag given twice', ['--workers', '1', '--workers', '2'], '--workers is given 2 times (1, 2); give it once'],
    ['a bad address', ['--bind', ':1', '--bind', 'x'], "--bind must end in a port, as in localhost:8080, not 'x'"],
    ['an address twice', ['--bind', '1', '--bind', '127.0.0.1:1'], '--bind has the address 127.0.0.1:1 twice'],
    ['a graceful timeout of 0', ['--graceful-timeout', '0'], "from 1ms to 24h, not '0'"],
    [
      'fewer connections than workers',
      ['--workers=3', '--max-connections=2'],
      '--max-connections (2) must be at least 3, one for each of --workers (3)',
    ],
    ['too many threads in all', ['--model=hybrid', '--workers=64', '--threads=32'], 'is 2048 threads; at most 1024'],
    [
      'an accept mode that the model does not have',
      ['--model=prethread', '--accept=shared'],
      'must be dispatch with the model prethread',
    ],
    [
      'a time to close WebSockets that is longer than the default graceful timeout',
      ['--ws-drain=40'],
      '--ws-drain must be no longer than the graceful timeout of 30000 ms (by default), not 40000 ms',
    ],
    [
      'a time to close WebSockets that is longer than a given graceful timeout',
      ['--ws-drain=2s', '--graceful-timeout=1500ms'],
      '--ws-drain must be no longer than the graceful timeout of 1500 ms (from --graceful-timeout), not 2000 ms',
    ],
    ['a time to close WebSockets without a number', ['--ws-drain=soon'], '--ws-drain must be a time such as'],
    [
      'a header timeout that is longer than the request timeout',
      ['--header-timeout=6', '--request-timeout=5'],
      '--header-timeout must be no longer than the request timeout of 5000 ms (from --request-timeout), not 6000 ms',
    ],
  ])('%s', async (_name, argv, message) => {
    expect(await refusal(argv)).toEqual([2, expect.stringContaining(message)]);
  });

  test.each([
    ['MPSERVE_WORKERS', 'x', "MPSERVE_WORKERS must be a whole number from 1 to 1024, or auto, not 'x'"],
    ['MPSERVE_MODEL', 'prefrok', 'did you mean prefork?'],
    ['MPSERVE_CAPTURE_OUTPUT', 'maybe', "MPSERVE_CAPTURE_OUTPUT must be true or false, not 'maybe'"],
    ['MPSERVE_BIND', ':1 ?', "MPSERVE_BIND must be host:port, [v6]:port or unix:path, not '?'"],
  ])('a bad variable %s', async (name, value, message) => {
    expect(await refusal([], { env: { [name]: value } })).toEqual([2, expect.stringContaining(message)]);
  });

  test.each<[string, unknown, string]>([
    ['an unknown key', { workrs: 1 }, "unknown key 'workrs' in FILE; did you mean workers?"],
    ['a key written as a flag', { 'max-connections': 1 }, 'did you mean maxConnections?'],
    ['the path of the configuration file', { config: 'x' }, "unknown key 'config' in FILE"],
    ['a value out of range', { workers: 0 }, 'workers in FILE must be a whole number from 1 to 1024, or auto, not 0'],
    ['a value of the wrong type', { captureOutput: 'x' }, "captureOutput in FILE must be true or false, not 'x'"],
    ['null', { logFile: null }, 'logFile in FILE must be a path, not null'],
    ['an object', { bind: { port: 1 } }, 'bind in FILE must be a string or a list of strings, not { port: 1 }'],
    ['a list', [], 'FILE must hold an object, not a list'],
    ['a number', '3', 'FILE must hold an object, not number'],
    ['an empty file', '', 'FILE:1: Unexpected end of JSON input'],
    ['a trailing comma', '{\n  "workers": 2,\n}', 'FILE:3: Expected double-quoted property name in JSON'],
    ['an unexpected token', '{\n  "bind": [\n    ,\n]}', "FILE:3: Unexpected token ','"],
    ['a missing app', { app: 'gone.js' }, "the app 'gone.js' (in FILE) does not exist"],
  ])('%s in a JSON file', async (_name, content, message) => {
    await put('mpserve.config.json', content);
    const [, said] = await refusal([], { cwd });
    expect(said.replaceAll(path.join(cwd, 'mpserve.config.json'), 'FILE')).toContain(message);
  });

  test('several configuration files in one directory', async () => {
    await put('mpserve.config.json', {});
    await put('mpserve.config.mjs', '');
    const [code, message] = await refusal([], { cwd });
    expect(code).toBe(2);
    expect(message).toContain('mpserve.config.mjs, ');
    expect(message).toMatch(/mpserve\.config\.json; choose one with --config$/);
  });

  test.each([
    [
      'gone.json',
      /cannot read the configuration file .*gone\.json \(from --config\): ENOENT: no such file or directory$/,
    ],
    ['x.toml', /x\.toml \(from --config\) must end in \.js, \.mjs, \.cjs, \.json$/],
    ['dir.json', /cannot read the configuration file .*: EISDIR: illegal operation on a directory$/],
  ])('the configuration file %s', async (name, message) => {
    await put('x.toml', '');
    if (name.startsWith('dir')) await import('node:fs/promises').then(({ mkdir }) => mkdir(path.join(cwd, name)));
    expect(await refusal(['--config', name], { cwd })).toEqual([2, expect.stringMatching(message)]);
  });

  test('an app that does not exist, with its source and a similar command or model', async () => {
    const looked = (name: string) => `looked for ${path.join(cwd, name)}, also with .js, .mjs, .cjs or .ts`;
    expect(await refusal(['./x'], { cwd })).toEqual([
      4,
      `the app './x' (from the command line) does not exist: ${looked('x')}`,
    ]);
    const env = { MPSERVE_APP: 'x#y' };
    expect(await refusal([], { cwd, env })).toEqual([
      4,
      `the app 'x#y' (from MPSERVE_APP) does not exist: ${looked('x#y')}`,
    ]);
    expect((await refusal(['confg'], { cwd }))[1]).toMatch(/; did you mean mpserve config\?$/);
    expect((await refusal(['prefrok'], { cwd }))[1]).toMatch(/; did you mean --model prefork\?$/);
  });
});
