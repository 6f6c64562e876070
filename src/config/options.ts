// The option table: the only list of options. Flags, environment variables, the configuration file and its type, `Config`,
// `--help`, shell completion and docs/options.md are all derived from it. The caller passes the models.

import { policies } from '../balance/policy.js';
import { accessLogFormat, fraction } from './access-log.js';
import { absoluteApp } from './app-path.js';
import { cacheStore } from './cache-store.js';
import {
  address,
  addresses,
  boolean,
  choice,
  choiceOrPort,
  codingList,
  cookieNames,
  count,
  countOrAuto,
  file,
  files,
  host,
  type Kind,
  logDestination,
  logFile,
  mode,
  name,
  networks,
  nodeArguments,
  oneOf,
  paths,
  redactedNames,
  session,
  target,
  type Written,
  watched,
  weights,
} from './kind.js';
import type { ModelFacts } from './model.js';
import { duration, size } from './quantity.js';
import { rateLimit } from './rate-limit.js';
import { rotation } from './rotation.js';
import { routeList } from './route-list.js';
import { shedGoal } from './shed-goal.js';
import { staticMounts } from './static-mount.js';

/** An option that only one command takes. It exists on the command line only. */
export interface CommandOption<T = unknown> {
  readonly key: string;
  readonly flag: string;
  readonly kind: Kind<T>;
  readonly description: string;
  readonly default?: T;
  readonly defaultWords?: string;
}

/** The values of a command's own options, by key; undefined for an option that has no default and is not given. */
export type CommandValues<R> = {
  readonly [K in keyof R]: R[K] extends { readonly kind: Kind<infer T> }
    ? T | (R[K] extends { readonly default: infer D } ? D : undefined)
    : never;
};

/** What is the same for most options of a section. */
interface SectionFacts {
  /** The heading in `--help` and the reference page. */
  readonly group:
    | 'App and model'
    | 'Static files'
    | 'Cache'
    | 'Compression'
    | 'Pool size'
    | 'Listening'
    | 'Limits and timeouts'
    | 'Lifecycle'
    | 'Logging';
  /** A reload cannot change it. */
  readonly needsRestart?: true;
  /** `mpserve ctl switch` can change it. */
  readonly isSwitchable?: true;
  /** Its default depends on the model, so a value for one model does not apply to another. */
  readonly dependsOnModel?: true;
  /** Whether it has an effect in a model; absent if it has in all. */
  readonly hasEffect?: (facts: ModelFacts) => unknown;
}

interface Row<T, W extends Written = Written> extends Partial<SectionFacts> {
  readonly kind: Kind<T, W>;
  /** The default in words, if it is not a value that a user can write, or differs between models. */
  readonly defaultWords?: string;
  /** The positional argument of the command, given without a flag. */
  readonly positional?: true;
  /** A short flag, without its dash. */
  readonly alias?: string;
  /** The environment variable, if it is not the one that follows from the key. */
  readonly variable?: string;
  /** It has an effect only in the demo app. */
  readonly isForDemo?: true;
}

/** `T` is the type of its value, and includes undefined if it has no default; `W` is its type in a configuration file. */
interface Unnamed<T, W extends Written, S> extends Omit<Row<T, W>, keyof SectionFacts>, SectionFacts {
  /** The part of `Config` that has it. */
  readonly section: S;
  readonly description: string;
  readonly default?: T | ((facts: ModelFacts) => T);
}

export interface Names<K> {
  /** The key in `Config` and in the configuration file: `maxConnections`. */
  readonly key: K;
  /** Without dashes: `max-connections`. */
  readonly flag: string;
  /** `MPSERVE_MAX_CONNECTIONS`, unless the row names another. */
  readonly env: string;
}

export interface Option<T = unknown> extends Unnamed<T, Written, string>, Names<Key> {}

/**
 * @returns a function that makes a row of `section`; its description, for `--help` and the reference page, is one or two
 * sentences without a final full stop
 */
function rowsOf<S extends string>(section: S, facts: SectionFacts) {
  function row<T, W extends Written>(
    description: string,
    row: Row<T, W> & { readonly default: NoInfer<T> | ((facts: ModelFacts) => NoInfer<T>) },
  ): Unnamed<T, W, S>;
  function row<T, W extends Written>(description: string, row: Row<T, W>): Unnamed<T | undefined, W, S>;
  function row<T, W extends Written>(description: string, row: Row<T, W>): Unnamed<T, W, S> {
    return { section, description, ...facts, ...row };
  }
  return row;
}

// The sections of `Config`. Each is passed on as a whole to its readers.

/** For the worker that loads the app. */
const loading = rowsOf('loading', { group: 'App and model' });
/** For the stage of the pipeline that serves files. */
const staticFiles = rowsOf('files', { group: 'Static files' });
/** For the strategies. */
const pool = rowsOf('pool', { group: 'Pool size', isSwitchable: true, dependsOnModel: true });
/** For the strategies whose host hands connections over. `mpserve ctl balance` changes it. */
const placing = rowsOf('placing', {
  group: 'App and model',
  dependsOnModel: true,
  hasEffect: (facts) => facts.balances,
});
/** For the scaler. */
const scaling = rowsOf('scaling', {
  group: 'Pool size',
  isSwitchable: true,
  hasEffect: (facts) => facts.workers || facts.threads,
});
/** For the listeners and acceptors. */
const listening = rowsOf('listening', { group: 'Listening', needsRestart: true });
/** For the pipeline: limits on one connection and its requests. */
const limits = rowsOf('limits', { group: 'Limits and timeouts' });
/** For the pipeline: how many requests the app handles at the same time, and what becomes of the others. */
const overload = rowsOf('overload', { group: 'Limits and timeouts' });
/** For the pipeline: which responses are kept. */
const cache = rowsOf('cache', { group: 'Cache' });
/** For the pipeline: how responses are compressed. */
const compression = rowsOf('compression', { group: 'Compression' });
/** For acceptors and the pipeline: which client a proxy has named. */
const clients = rowsOf('clients', { group: 'Listening', needsRestart: true });
/** For the host that places connections, and for the pipeline, which sees where sessions begin. */
const sessions = rowsOf('sessions', { group: 'App and model', needsRestart: true });
/** For what replaces workers, on both sides. */
const lifecycle = rowsOf('lifecycle', { group: 'Lifecycle' });
/** For the recycler, and the runtime of threads. */
const recycle = rowsOf('recycle', { group: 'Lifecycle', hasEffect: (facts) => !facts.once });
/** For the start of a worker process. */
const processes = rowsOf('processes', { group: 'Lifecycle' });
/** For the process of the supervisor. */
const server = rowsOf('server', { group: 'Lifecycle', needsRestart: true });
/** For what writes access lines, and for the log, which has URLs as well. */
const access = rowsOf('access', { group: 'Logging', needsRestart: true });
/** For the logs. */
const logging = rowsOf('logging', { group: 'Logging', needsRestart: true });

const second = 1_000;
const day = 86_400 * second;
const mega = 1024 ** 2;

/** Maximum number of workers, of threads in a worker, and of threads in all workers together. */
export const maxUnits = 1024;

/** The rows, in the order of `--help` and the reference page. */
function optionRows(models: readonly ModelFacts[]) {
  const accepts = [...new Set(models.flatMap((facts) => facts.accept))];
  return {
    app: loading('The app: a file, FILE#EXPORT, or a directory of static files (DIR/ if a file has its name, too)', {
      kind: {
        ...file,
        metavar: 'APP',
        rebase: (value, base, cwd) => (base === cwd ? value : absoluteApp(value, base)),
      },
      defaultWords: 'the built-in demo app',
      positional: true,
    }),
    model: pool('The concurrency model', {
      group: 'App and model',
      needsRestart: true,
      kind: choice(
        models.map((facts) => facts.name),
        'MODEL',
      ),
      default: 'prefork',
    }),
    accept: pool(
      'Accept mode: shared (every worker or thread accepts on one listening socket), dispatch (one acceptor passes connections to workers or threads, by --balance), or reuseport (on Linux, the kernel has a queue of clients for each worker or thread, and chooses)',
      {
        group: 'App and model',
        needsRestart: true,
        kind: choice(accepts, 'MODE'),
        default: (facts) => facts.accept[0] ?? 'shared',
        defaultWords: byModel(models, (facts) => facts.accept[0]),
        hasEffect: (facts) => facts.accept.length > 0,
      },
    ),
    unit: pool(
      'What a thread of prethread and hybrid serves: connection (whole connections, of which it does all that HTTP takes), or request (the process has the connections and the HTTP, and gives each request to the thread that has been free for longest)',
      { group: 'App and model', kind: choice(['connection', 'request'], 'UNIT'), default: 'connection' },
    ),
    routes: server(
      'Requests that have workers of their own, by their paths, as JSON: a list of routes, each with match (/pdf/*, /users/:id, or * for all others, the last one) and settings such as model, threads or maxMemory; the first one that matches has the request. The processes of --workers have the connections then, and the app runs in the workers of the routes',
      { group: 'App and model', kind: routeList, default: [] },
    ),
    balance: placing(
      'With --accept dispatch, which worker or thread gets a connection: each in turn (round-robin), in turn by --weights (weighted), the one with the fewest connections, of several each in turn (least-connections), the one with fewer connections of two random ones (random-two), the same one for each connection of an IP address (ip-hash), the least busy of those whose event loops are not blocked (lag), or the first one that waits for work, until which a connection waits (first-idle)',
      { kind: choice(policies, 'POLICY'), default: 'least-connections' },
    ),
    weights: placing(
      'For --balance weighted, the shares of the workers or threads, as in 3,1: the first one gets three connections when the second gets one',
      { kind: weights, default: [], defaultWords: 'none' },
    ),
    sticky: sessions(
      'With --accept dispatch, place all connections of a session on the same worker or thread; with --unit request, all requests that a process gets of it on the same thread: one client address (ip), one value of a cookie (cookie:NAME), of a parameter in the query (query:sid, for socket.io), or of a header field (header:NAME). With --accept dispatch the first request of a connection decides. When its worker has gone, the session is placed on another, and counted (mpserve ctl status)',
      { kind: session, defaultWords: 'none' },
    ),
    nodeArg: processes(
      'Pass an option to the node process of each worker, as in --node-arg=--max-old-space-size=512; repeatable',
      { group: 'App and model', kind: nodeArguments, default: [], defaultWords: 'none' },
    ),
    envFile: processes(
      'Read variables for the app from this file, as node --env-file does, also at each reload; a variable of the environment overrides it. Repeatable: a later file overrides an earlier one. Relative to the directory of the command',
      { group: 'App and model', kind: files, default: [], defaultWords: 'none' },
    ),
    cwd: processes(
      'Run the app in this directory. As a flag or variable, other relative paths start there, and so does the search for the configuration file',
      { group: 'App and model', kind: { ...file, metavar: 'DIR' }, defaultWords: 'the directory of the command' },
    ),
    demoFaults: loading('Enable /crash (exits the worker) and /hang (blocks its event loop) in the demo app', {
      kind: boolean,
      default: false,
      isForDemo: true,
    }),
    serve: loading(
      'Which server of the app to serve, if several listen: auto (the one on the port of PORT or --bind, otherwise on the lowest port), first, last (while the app loads), or the one on a port. The others keep their ports, on sockets that all workers share',
      { kind: choiceOrPort(['auto', 'first', 'last']), default: 'auto' },
    ),
    config: loading('The configuration file', {
      kind: file,
      defaultWords: 'mpserve.config.{js,mjs,cjs,json} in the current directory',
    }),

    static: staticFiles(
      'Serve the files of DIR below PATH in front of the app, as in /assets=./dist; with /assets=./dist,immutable clients never ask again for a file, with ,spa unknown pages are its index.html, and with ,listing directories are listed; repeatable',
      { kind: staticMounts, default: [], defaultWords: 'none' },
    ),
    spa: staticFiles(
      'When the app is a directory, answer paths that name no file with its index.html, for single-page apps',
      { kind: boolean, default: false },
    ),
    listing: staticFiles('When the app is a directory, list directories that have no index.html', {
      kind: boolean,
      default: false,
    }),
    staticMemory: staticFiles(
      'Memory of each worker or thread for small files and compressed ones; 0 keeps none, and compresses none',
      { kind: size(0, 16 * 1024 * mega), default: 32 * mega },
    ),

    workers: pool(
      'Number of worker processes; auto derives it from the number of processors, and follows that of a container',
      {
        kind: countOrAuto(1, maxUnits),
        default: 'auto',
        hasEffect: (facts) => facts.workers,
      },
    ),
    minWorkers: pool(
      'Minimum number of worker processes; if --max-workers is higher, the number scales with the load',
      { kind: count(1, maxUnits), defaultWords: 'same as --workers', hasEffect: (facts) => facts.workers },
    ),
    maxWorkers: pool('Maximum number of worker processes; if --min-workers is lower, the number scales with the load', {
      kind: count(1, maxUnits),
      defaultWords: 'same as --workers',
      hasEffect: (facts) => facts.workers,
    }),
    threads: pool(
      `Number of threads in each worker process, at most ${maxUnits} in all workers together; auto derives it from the number of processors`,
      { kind: countOrAuto(1, maxUnits), default: 'auto', hasEffect: (facts) => facts.threads },
    ),
    tasksPerThread: pool('With --unit request, maximum number of requests that a thread handles at the same time', {
      kind: count(1, 1000),
      default: 1,
      hasEffect: (facts) => facts.units,
    }),
    minThreads: pool(
      'Minimum number of threads in each worker; if --max-threads is higher, the number scales with the load',
      { kind: count(1, maxUnits), defaultWords: 'same as --threads', hasEffect: (facts) => facts.threads },
    ),
    maxThreads: pool(
      'Maximum number of threads in each worker; if --min-threads is lower, the number scales with the load',
      { kind: count(1, maxUnits), defaultWords: 'same as --threads', hasEffect: (facts) => facts.threads },
    ),
    spareMin: scaling('When scaling, add workers (or threads) while fewer than this are idle', {
      kind: count(1, maxUnits),
      default: 1,
    }),
    spareMax: scaling(
      'When scaling, remove workers (or threads) if more than this have been idle for --idle-timeout and the rest can carry the load',
      { kind: count(0, maxUnits), default: 2 },
    ),
    idleTimeout: scaling('Time that more than --spare-max workers (or threads) must be idle before some are removed', {
      kind: duration(1, day),
      default: 30 * second,
    }),
    scaleOn: scaling(
      'Load measure for scaling. A worker or thread is busy if it has requests in flight for 60 % of the time (busy), if its event-loop utilisation is 60 % (elu), or if its event loop is 20 ms late (lag)',
      { kind: choice(['busy', 'elu', 'lag'], 'MEASURE'), default: 'busy' },
    ),
    spares: pool(
      'Number of processes or threads to keep ready with the app loaded, so that a new connection does not wait for a start; each serves one connection and exits',
      { kind: count(0, maxUnits), default: 0, hasEffect: (facts) => facts.spares },
    ),

    bind: listening(
      'Listen on HOST:PORT, [V6]:PORT, unix:PATH (mode 0600: only the owner may connect), :PORT (every IPv4 address) or PORT (127.0.0.1); port 0 picks a free port; repeatable',
      { kind: addresses, default: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }] },
    ),
    port: listening(
      'Listen on this port, as --bind does; the app sees the port that is served in its variable PORT, whichever option names it',
      { kind: count(0, 65_535), alias: 'p', variable: 'PORT', defaultWords: 'the port of --bind' },
    ),
    host: listening('With --port, listen on this address', {
      kind: host,
      defaultWords: '127.0.0.1; 0.0.0.0 if the port comes from the variable PORT',
    }),
    backlog: listening(
      'Maximum number of connections that the kernel queues until they are accepted; the kernel may apply a lower limit',
      { kind: count(1, 65_535), default: 511 },
    ),
    socketMode: listening('Mode of the Unix sockets, in octal; 660 also lets the group connect', {
      kind: mode,
      default: 0o600,
    }),
    socketOwner: listening('Owner of the Unix sockets of --bind', { kind: name, defaultWords: 'the user of --user' }),
    socketGroup: listening('Group of the Unix sockets of --bind, which may connect with --socket-mode 660', {
      kind: name,
      defaultWords: 'the group of the workers',
    }),
    secondary: loading(
      "Which workers accept connections of the app's other servers: all, or first-worker (one at a time; when it ends, another one)",
      {
        group: 'Listening',
        needsRestart: true,
        kind: choice(['all', 'first-worker'], 'WHICH'),
        default: 'all',
        hasEffect: (facts) => !facts.spares,
      },
    ),
    trustProxy: clients(
      'Proxies that may say who the client is, by X-Forwarded-For or else Forwarded for the access log and --rate-limit, or by --proxy-protocol also for --balance ip-hash and --sticky ip: loopback (and Unix sockets), private, an IP address, or a network such as 10.0.0.0/8; several with commas. What others say does not count',
      { kind: networks, default: [], defaultWords: 'none' },
    ),
    proxyProtocol: clients(
      'Read the header of the PROXY protocol, version 1 or 2, from each connection, and log its client: for HAProxy (send-proxy-v2), AWS NLB and the like. Connections of others than --trust-proxy are closed',
      { kind: boolean, default: false },
    ),
    proxyToApp: clients(
      'Show the app the client of --proxy-protocol as req.socket.remoteAddress and remotePort, instead of the proxy',
      { kind: boolean, default: false },
    ),
    maxConnections: listening(
      'Maximum number of open connections in all workers together; at the limit the server stops accepting and the kernel queues connections, up to --backlog',
      {
        isSwitchable: true,
        kind: count(1, 1_000_000),
        default: (facts) => facts.maxConnections,
        defaultWords: byModel(models, (facts) => String(facts.maxConnections)),
      },
    ),

    headerTimeout: limits(
      'Time for a client to send the headers of a request, at most --request-timeout; 0 is no limit',
      { kind: duration(0, day), default: 20 * second },
    ),
    requestTimeout: limits('Time for a client to send a complete request; 0 is no limit', {
      kind: duration(0, day),
      default: 300 * second,
    }),
    requestDeadline: limits(
      'Time for the app to complete a response; after that the client gets 504 and req.signal is aborted; 0 is no limit',
      { kind: duration(0, day), default: 0 },
    ),
    keepAliveTimeout: limits('Time that a connection may be idle between requests; 0 is no limit', {
      kind: duration(0, day),
      default: 5 * second,
    }),
    maxHeaderSize: limits('Maximum size of the headers of a request; a client that exceeds it gets 431', {
      kind: size(256, 16 * mega),
      default: 16 * 1024,
    }),
    // No limit by default, as in Node: an app written for Node may accept uploads of any size, and must run
    // unmodified.
    maxBodySize: limits('Maximum size of the body of a request; a client that exceeds it gets 413; 0 is no limit', {
      kind: size(0, 1024 * 1024 * mega),
      default: 0,
    }),
    rateLimit: limits(
      "Maximum rate of requests of each client, in all workers together, as in '100/s:burst=20 by ip' or '6000/m by header:x-api-key'; a client that exceeds it gets 429. The burst is what it may send at once, by default what comes back in a second",
      { kind: rateLimit, defaultWords: 'off' },
    ),
    maxRequestsPerConnection: limits('Maximum number of requests on a connection; 0 is no limit', {
      kind: count(0, 1_000_000_000),
      default: 0,
    }),

    maxInflight: overload(
      'Maximum number of requests that the app handles at the same time, in all workers together; further requests wait in a queue; 0 is no limit',
      { kind: count(0, 1_000_000), default: 0 },
    ),
    queueMax: overload(
      'With --max-inflight, maximum number of requests that wait, in all workers together; a further request gets 503 with Retry-After',
      { kind: count(0, 1_000_000), default: 100 },
    ),
    queueTimeout: overload(
      'With --max-inflight, time that a request may wait; after that the client gets 503 with Retry-After',
      { kind: duration(1, day), default: second },
    ),
    shed: overload(
      'With --max-inflight, refuse requests that have waited so long that responses would miss this goal: p99=500ms is 99 % of the responses within 500 ms. Refuses them with 503 and Retry-After, before --queue-timeout; not those of --priority-path',
      { kind: shedGoal, defaultWords: 'off' },
    ),
    healthPath: overload(
      'Paths of health checks: the server itself answers GET and HEAD requests for exactly this path, with 200, or with 503 when it stops; with --max-inflight it passes them to the app, where they never wait and are never refused; several with commas',
      { kind: paths, default: [], defaultWords: 'none' },
    ),
    priorityPath: overload(
      'With --max-inflight, paths whose requests wait in front of all others: this path and those below it; several with commas',
      { kind: paths, default: [], defaultWords: 'none' },
    ),

    cache: cache(
      'Keep responses in memory for later requests, and answer requests for the same with one of the app, as a shared cache does (RFC 9111). All workers and threads together take this much; 0 turns this off',
      { kind: size(0, 1024 * 1024 * mega), default: 0 },
    ),
    cacheStore: cache(
      'Where --cache keeps responses: in the memory of each worker and thread for itself, in memory that all of the machine share, or in a Redis server for several machines. A URL with a password belongs into MPSERVE_CACHE_STORE',
      { kind: cacheStore(['memory', 'shared']), default: 'memory' },
    ),
    cacheTtl: cache(
      'With --cache, time to use a response without Cache-Control, Expires and Set-Cookie, to a request without cookies and Authorization; 0 is only what RFC 9111 allows',
      { kind: duration(0, day), default: 0 },
    ),
    cacheSetCookie: cache(
      'With --cache, keep responses with Set-Cookie as well, if they may be kept otherwise: every client gets the cookie of the first one',
      { kind: boolean, default: false },
    ),
    cacheBypass: cache(
      'With --cache, paths whose requests all go to the app: this path and those below it; several with commas',
      { kind: paths, default: [], defaultWords: 'none' },
    ),
    cacheBypassCookie: cache(
      'With --cache, names of cookies whose requests all go to the app, as that of a session; several with commas',
      { kind: cookieNames, default: [], defaultWords: 'none' },
    ),

    compress: compression(
      "Compress the app's responses (text, scripts, JSON, XML and the like, of 1 KiB and more) with these codings, for clients that accept them; of those that a client prefers equally, the first one is used",
      { kind: codingList, default: [], defaultWords: 'off' },
    ),

    gracefulTimeout: lifecycle(
      'Time for requests in flight to finish when a worker drains; then they are cut, and the worker ends when no connection can migrate any more',
      { kind: duration(1, day), default: 30 * second },
    ),
    stopDelay: lifecycle(
      'After SIGTERM or mpserve ctl stop, go on serving for this long while /readyz says that the server stops, and drain then: load balancers need time to notice',
      { kind: duration(0, day), default: 0 },
    ),
    hangTimeout: lifecycle(
      'When a worker or thread has blocked its event loop for this long, log its stack and its requests in flight, and replace it; 0 turns this off',
      {
        dependsOnModel: true,
        kind: duration(0, day),
        default: (facts) => (facts.once ? 0 : 30 * second),
        defaultWords: byModel(models, (facts) => (facts.once ? '0' : '30s')),
      },
    ),
    readyPath: loading('A new worker is ready only when it answers GET PATH with 2xx or 3xx, within --boot-timeout', {
      group: 'Lifecycle',
      kind: target,
      defaultWords: 'ready when the app has loaded',
    }),
    waitReady: loading("A new worker is ready only when the app calls process.send('ready'), within --boot-timeout", {
      group: 'Lifecycle',
      kind: boolean,
      default: false,
    }),
    shutdownMessage: lifecycle("Before a worker exits, send the app the message 'shutdown', as pm2 does", {
      kind: boolean,
      default: false,
    }),
    drainQuiet: limits(
      'While draining, a keep-alive connection that cannot migrate is closed after this long without a byte, so that a request on its way does not reach a closed socket',
      { group: 'Lifecycle', kind: duration(0, day), default: second },
    ),
    wsDrain: limits(
      'While draining, close WebSockets (code 1012, or 1001 if the server stops) and event streams at random times within this time, at most --graceful-timeout, so that their clients connect again, but not all at once; 0 leaves them open until --graceful-timeout',
      { group: 'Lifecycle', kind: duration(0, day), default: 20 * second },
    ),
    migrate: lifecycle(
      'When a worker or thread is replaced, migrate its keep-alive connections to others instead of closing them; Linux only',
      { kind: boolean, default: true },
    ),
    probation: lifecycle(
      'Watch new workers for this long before they get connections, and again when they have replaced the old ones; if one dies, hangs or is not ready any more, the reload, switch, scaling or upgrade is rolled back. 0 turns this off',
      { kind: duration(0, day), default: second },
    ),
    canary: lifecycle(
      'On a reload, compare this many first requests of the new generation with those of the old one, and roll back if they fail more often, crash or take longer; 0 turns this off',
      { kind: count(0, 1_000_000), default: 0 },
    ),
    retrySafe: pool(
      'With --unit request, when a thread dies with a GET or HEAD request of which nothing has been sent, run the request once more, in another thread',
      { group: 'Lifecycle', kind: boolean, default: false, hasEffect: (facts) => facts.units },
    ),
    quarantineAfter: lifecycle(
      'Refuse a request with 503 if it (same method, target and body) was running, or alone in flight, at this many deaths or hangs of workers; 0 turns this off',
      { kind: count(0, 1000), default: 3 },
    ),
    maxRequests: recycle('Replace a worker after it has served this many requests; 0 is never', {
      kind: count(0, 1_000_000_000),
      default: 0,
    }),
    maxRequestsJitter: recycle(
      'Add a random number, up to this, to --max-requests of each worker, so that workers are not all replaced at once',
      { kind: count(0, 1_000_000_000), default: 0 },
    ),
    maxMemory: recycle(
      'Replace a worker process when its resident memory, without what it shares with others, exceeds this; 0 is never. Needs /proc',
      {
        kind: size(0, 1024 * 1024 * mega),
        default: 0,
      },
    ),
    maxThreadHeap: recycle(
      'Maximum JavaScript heap of each thread; a thread that exceeds it ends and is replaced, and the other threads go on; 0 uses the default of V8',
      { kind: size(0, 1024 * 1024 * mega), default: 0, hasEffect: (facts) => facts.threaded },
    ),
    maxAge: recycle('Replace a worker after it has served for this long; 0 is never', {
      kind: duration(0, 365 * day),
      default: 0,
    }),
    user: processes('Run the workers as this user: each switches to it before it loads the app; needs root', {
      kind: name,
      defaultWords: 'the user of the supervisor',
    }),
    group: processes('Run the workers in this group; needs root', { kind: name, defaultWords: 'the group of --user' }),
    umask: processes('File mode creation mask of the workers, in octal', { kind: mode, defaultWords: 'inherited' }),
    daemon: server(
      'Run in the background; the command returns when the server is ready, and prints its pid, URL, control socket and log, or when it has failed to start',
      { kind: boolean, default: false },
    ),
    watch: server(
      'Reload when a file changes in the current directory, or in --watch=PATH, which may be repeated; not for files in node_modules and .git, logs, and files of editors. Names the file in the log',
      { kind: watched, default: [], defaultWords: 'off' },
    ),
    pidFile: server(
      'Write the process id of the supervisor to this file; the stale file of a dead server is replaced',
      { kind: file, defaultWords: 'none' },
    ),
    control: server('Listen for mpserve ctl on this Unix socket (mode 0600: only the owner may connect)', {
      kind: file,
      defaultWords: 'off, or beside --pid-file: app.ctl for app.pid',
    }),
    admin: server(
      'Show the state of the server on this address: a dashboard at /, and /status, /workers, /metrics, and for probes /livez and /readyz; as --bind has it',
      { kind: address, defaultWords: 'off' },
    ),
    adminTokenFile: server(
      'Show them only to clients that have the token in this file, and let these reload, scale and switch: Authorization: Bearer TOKEN',
      {
        kind: file,
        defaultWords: 'none',
      },
    ),
    bootTimeout: loading('Time for a worker to start and load the app', {
      group: 'Lifecycle',
      kind: duration(1, day),
      default: 30 * second,
    }),

    logFile: logging('Append the log to this file; - is standard output', {
      kind: logFile,
      defaultWords: 'standard output; with --daemon app.log beside app.pid (--pid-file), or mpserve.log',
    }),
    logLevel: logging('Lowest level that is logged', {
      kind: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'LEVEL'),
      default: 'info',
    }),
    logFormat: logging('Format of the log lines', {
      kind: choice(['json', 'pretty'], 'FORMAT'),
      defaultWords: 'pretty on a terminal, json elsewhere',
    }),
    accessLog: logging('Append a line for each request to this file; - is standard output', {
      kind: logDestination,
      defaultWords: 'off',
    }),
    accessLogFormat: access(
      'Format of the lines of --access-log: json, common and combined as in Apache, or a template with the variables in docs/logs.md',
      { kind: accessLogFormat, default: 'json' },
    ),
    accessLogSample: access(
      'Write lines for this part of the requests. Those with a status of 500 or more, those whose client left, and slow ones (--slow) always have one',
      { kind: fraction, default: 1 },
    ),
    slow: access(
      'Mark requests in the access log that take this long, with the longest block of the event loop meanwhile',
      { kind: duration(1, day), defaultWords: 'off' },
    ),
    logRedact: access(
      'Query parameters and headers whose values are replaced by [redacted] in all lines of both logs',
      { kind: redactedNames, default: [], defaultWords: 'none' },
    ),
    logRotate: logging('Rotate the files of --log-file and --access-log: at this size, or each day or hour', {
      kind: rotation(),
      defaultWords: 'off',
    }),
    logKeep: logging('With --log-rotate: how many rotated files of each log are kept; older ones are deleted', {
      kind: count(1, 100_000),
      default: 14,
    }),
    logCompress: logging('With --log-rotate: compress rotated files with gzip', { kind: boolean, default: false }),
    captureOutput: logging(
      'Turn the output of the app into log lines; without it, the output passes through unchanged',
      { kind: boolean, default: false },
    ),
  };
}

type Rows = ReturnType<typeof optionRows>;

export type Key = keyof Rows;
export type ConfigKey = Exclude<Key, 'config'>;

/** The parsed values, before `auto` and the options that depend on the model are resolved. */
export type Settings = { readonly [K in Key]: Rows[K] extends Unnamed<infer T, Written, string> ? T : never };

export type OptionTable = { readonly [K in Key]: Rows[K] & Names<K> };

export function optionTable(models: readonly ModelFacts[]): OptionTable {
  return named(optionRows(models));
}

export function listOptions(table: OptionTable): readonly Option[] {
  return Object.values(table);
}

/** All but the path of the configuration file, which is neither in that file nor in `Config`. */
export function configOptions(table: OptionTable): readonly (Option & { readonly key: ConfigKey })[] {
  return Object.values(table).filter((option) => option.key !== 'config');
}

/** The default, as `--help` and the reference page show it. */
export function defaultWords(option: Option | CommandOption): string {
  if (option.defaultWords !== undefined) return option.defaultWords;
  if (option.default === undefined) return '';
  const written = option.kind.write(option.default);
  return Array.isArray(written) ? written.join(' ') : String(written);
}

/** Adds the names of each row, which follow from its key. */
export function named<const R extends object>(rows: R): { readonly [K in keyof R]: R[K] & Names<K> } {
  return Object.fromEntries(
    Object.entries(rows).map(([key, row]) => {
      const words = key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
      const { variable: env = `MPSERVE_${words.join('_').toUpperCase()}` } = row as { readonly variable?: string };
      return [key, { ...row, key, flag: words.join('-'), env }];
    }),
  ) as { readonly [K in keyof R]: R[K] & Names<K> };
}

/** `256 in ppc and tpc, 10000 in prefork`. */
function byModel(models: readonly ModelFacts[], value: (facts: ModelFacts) => string | undefined): string {
  const names = new Map<string, string[]>();
  for (const facts of models) {
    const words = value(facts);
    if (words !== undefined) names.set(words, [...(names.get(words) ?? []), facts.name]);
  }
  return [...names].map(([words, models]) => `${words} in ${oneOf(models, 'and')}`).join(', ');
}
