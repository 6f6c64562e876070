// The option table: the only list of options. Flags, environment variables, the configuration file, `--help`, shell
// completion and docs/options.md are all derived from it. The caller passes the models.
import type { Measure } from '../scaling/scaler.js';
import type { Config, LogLevel } from './config.js';
import {
  addresses,
  boolean,
  choice,
  count,
  countOrAuto,
  file,
  type Kind,
  logDestination,
  mode,
  name,
  nodeArguments,
  oneOf,
  target,
} from './kind.js';
import type { Accept, ModelFacts } from './model.js';
import { duration, size } from './quantity.js';

/** The parsed values, before `auto` and the options that depend on the model are resolved. */
export type Settings = Omit<Config, Ranged | 'workers' | 'threads' | 'accept'> & {
  /** undefined: the same as `workers` or `threads`. */
  readonly [K in Ranged]: number | undefined;
} & {
  readonly workers: number | 'auto';
  readonly threads: number | 'auto';
  readonly accept: Accept;
  readonly config: string;
};

type Ranged = 'minWorkers' | 'maxWorkers' | 'minThreads' | 'maxThreads';

export type Group = 'App and model' | 'Pool size' | 'Listening' | 'Limits and timeouts' | 'Lifecycle' | 'Logging';

/** An option that only one command takes. */
export interface CommandOption<T = unknown> {
  readonly key: string;
  readonly flag: string;
  readonly kind: Kind<T>;
  readonly description: string;
  readonly default?: T;
  readonly defaultWords?: string;
}

interface Row<T> {
  readonly group: Group;
  readonly kind: Kind<T>;
  /** For `--help` and the reference page: one or two sentences, without a final full stop. */
  readonly description: string;
  readonly default?: T | ((facts: ModelFacts) => T);
  /** The default in words, if it is not a value that a user can write, or differs between models. */
  readonly defaultWords?: string;
  /** The positional argument of the command, given without a flag. */
  readonly positional?: true;
  /** Not a key of the configuration file: the path of that file cannot be set in it. */
  readonly inFile?: false;
  /** Completes "does nothing …" if the option has no effect with this model and app; undefined if it has one. */
  noEffect?(facts: ModelFacts, app: string | undefined): string | undefined;
}

export interface Option<T = unknown> extends Row<T> {
  /** The key in `Config` and in the configuration file: `maxConnections`. */
  readonly key: keyof Settings;
  /** Without dashes: `max-connections`. */
  readonly flag: string;
  /** `MPSERVE_MAX_CONNECTIONS`. */
  readonly env: string;
}

export type OptionTable = { readonly [K in keyof Settings]: Option<Settings[K]> };

const second = 1_000;
const day = 86_400 * second;
const mega = 1024 ** 2;

/** Maximum number of workers, of threads in a worker, and of threads in all workers together. */
export const maxUnits = 1024;

/** The table, in the order of `--help` and the reference page. */
export function optionTable(models: readonly ModelFacts[]): OptionTable {
  const accepts = [...new Set(models.flatMap((facts) => facts.accept))];
  const withoutPoolSize = (facts: ModelFacts) => (facts.workers || facts.threads ? undefined : withModel(facts));
  const withoutRecycling = (facts: ModelFacts) => (facts.once ? withModel(facts) : undefined);
  const rows: { readonly [K in keyof Settings]: Row<Settings[K]> } = {
    app: {
      group: 'App and model',
      kind: { ...file, metavar: 'APP' },
      description: 'The app: a file, FILE#EXPORT, or a directory of static files',
      defaultWords: 'the built-in demo app',
      positional: true,
    },
    model: {
      group: 'App and model',
      kind: choice(
        models.map((facts) => facts.name),
        'MODEL',
      ),
      description: 'The concurrency model',
      default: 'prefork',
    },
    accept: {
      group: 'App and model',
      kind: choice(accepts, 'MODE'),
      description:
        'Accept mode: shared (every worker or thread accepts on one listening socket) or dispatch (one acceptor passes connections to workers or threads in turn)',
      default: (facts) => facts.accept[0] ?? 'shared',
      defaultWords: byModel(models, (facts) => facts.accept[0]),
      noEffect: (facts) => (facts.accept.length > 0 ? undefined : withModel(facts)),
    },
    nodeArg: {
      group: 'App and model',
      kind: nodeArguments,
      description:
        'Pass an option to the node process of each worker, as in --node-arg=--max-old-space-size=512; repeatable',
      default: [],
      defaultWords: 'none',
    },
    demoFaults: {
      group: 'App and model',
      kind: boolean,
      description: 'Enable /crash (exits the worker) and /hang (blocks its event loop) in the demo app',
      default: false,
      noEffect: (_facts, app) => (app === undefined ? undefined : 'when an app is given'),
    },
    config: {
      group: 'App and model',
      kind: file,
      description: 'The configuration file',
      defaultWords: 'mpserve.config.{js,mjs,cjs,json} in the current directory',
      inFile: false,
    },

    workers: {
      group: 'Pool size',
      kind: countOrAuto(1, maxUnits),
      description: 'Number of worker processes; auto derives it from the number of processors',
      default: 'auto',
      noEffect: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    minWorkers: {
      group: 'Pool size',
      kind: count(1, maxUnits),
      description: 'Minimum number of worker processes; if --max-workers is higher, the number scales with the load',
      defaultWords: 'same as --workers',
      noEffect: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    maxWorkers: {
      group: 'Pool size',
      kind: count(1, maxUnits),
      description: 'Maximum number of worker processes; if --min-workers is lower, the number scales with the load',
      defaultWords: 'same as --workers',
      noEffect: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    threads: {
      group: 'Pool size',
      kind: countOrAuto(1, maxUnits),
      description: `Number of threads in each worker process, at most ${maxUnits} in all workers together; auto derives it from the number of processors`,
      default: 'auto',
      noEffect: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    minThreads: {
      group: 'Pool size',
      kind: count(1, maxUnits),
      description:
        'Minimum number of threads in each worker; if --max-threads is higher, the number scales with the load',
      defaultWords: 'same as --threads',
      noEffect: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    maxThreads: {
      group: 'Pool size',
      kind: count(1, maxUnits),
      description:
        'Maximum number of threads in each worker; if --min-threads is lower, the number scales with the load',
      defaultWords: 'same as --threads',
      noEffect: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    spareMin: {
      group: 'Pool size',
      kind: count(1, maxUnits),
      description: 'When scaling, add workers (or threads) while fewer than this are idle',
      default: 1,
      noEffect: withoutPoolSize,
    },
    spareMax: {
      group: 'Pool size',
      kind: count(0, maxUnits),
      description:
        'When scaling, remove workers (or threads) if more than this have been idle for --idle-timeout and the rest can carry the load',
      default: 2,
      noEffect: withoutPoolSize,
    },
    idleTimeout: {
      group: 'Pool size',
      kind: duration(1, day),
      description: 'Time that more than --spare-max workers (or threads) must be idle before some are removed',
      default: 30 * second,
      noEffect: withoutPoolSize,
    },
    scaleOn: {
      group: 'Pool size',
      kind: choice<Measure>(['busy', 'elu', 'lag'], 'MEASURE'),
      description:
        'Load measure for scaling. A worker or thread is busy if it has requests in flight for 60 % of the time (busy), if its event-loop utilisation is 60 % (elu), or if its event loop is 20 ms late (lag)',
      default: 'busy',
      noEffect: withoutPoolSize,
    },
    spares: {
      group: 'Pool size',
      kind: count(0, maxUnits),
      description:
        'Number of processes or threads to keep ready with the app loaded, so that a new connection does not wait for a start; each serves one connection and exits',
      default: 0,
      noEffect: (facts) => (facts.spares ? undefined : withModel(facts)),
    },

    bind: {
      group: 'Listening',
      kind: addresses,
      description:
        'Listen on HOST:PORT, [V6]:PORT, unix:PATH (mode 0600: only the owner may connect), :PORT (every IPv4 address) or PORT (127.0.0.1); port 0 picks a free port; repeatable',
      default: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    },
    backlog: {
      group: 'Listening',
      kind: count(1, 65_535),
      description:
        'Maximum number of connections that the kernel queues until they are accepted; the kernel may apply a lower limit',
      default: 511,
    },
    socketMode: {
      group: 'Listening',
      kind: mode,
      description: 'Mode of the Unix sockets, in octal; 660 also lets the group connect',
      default: 0o600,
    },
    maxConnections: {
      group: 'Listening',
      kind: count(1, 1_000_000),
      description:
        'Maximum number of open connections in all workers together; at the limit the server stops accepting and the kernel queues connections, up to --backlog',
      default: (facts) => facts.maxConnections,
      defaultWords: byModel(models, (facts) => String(facts.maxConnections)),
    },

    headerTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time for a client to send the headers of a request, at most --request-timeout; 0 is no limit',
      default: 20 * second,
    },
    requestTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time for a client to send a complete request; 0 is no limit',
      default: 300 * second,
    },
    requestDeadline: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description:
        'Time for the app to complete a response; after that the client gets 504 and req.signal is aborted; 0 is no limit',
      default: 0,
    },
    keepAliveTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time that a connection may be idle between requests; 0 is no limit',
      default: 5 * second,
    },
    maxHeaderSize: {
      group: 'Limits and timeouts',
      kind: size(256, 16 * mega),
      description: 'Maximum size of the headers of a request; a client that exceeds it gets 431',
      default: 16 * 1024,
    },
    maxBodySize: {
      group: 'Limits and timeouts',
      kind: size(0, 1024 * 1024 * mega),
      // No limit by default, as in Node: an app written for Node may accept uploads of any size, and must run
      // unmodified.
      description: 'Maximum size of the body of a request; a client that exceeds it gets 413; 0 is no limit',
      default: 0,
    },
    maxRequestsPerConnection: {
      group: 'Limits and timeouts',
      kind: count(0, 1_000_000_000),
      description: 'Maximum number of requests on a connection; 0 is no limit',
      default: 0,
    },

    gracefulTimeout: {
      group: 'Lifecycle',
      kind: duration(1, day),
      description: 'Time for requests in flight to finish when a worker drains; then the worker is killed',
      default: 30 * second,
    },
    hangTimeout: {
      group: 'Lifecycle',
      kind: duration(0, day),
      description:
        'When a worker or thread has blocked its event loop for this long, log its stack and its requests in flight, and replace it; 0 turns this off',
      default: (facts) => (facts.once ? 0 : 30 * second),
      defaultWords: byModel(models, (facts) => (facts.once ? '0' : '30s')),
    },
    readyPath: {
      group: 'Lifecycle',
      kind: target,
      description: 'A new worker is ready only when it answers GET PATH with 2xx or 3xx, within --boot-timeout',
      defaultWords: 'ready when the app has loaded',
    },
    drainQuiet: {
      group: 'Lifecycle',
      kind: duration(0, day),
      description:
        'While draining, a keep-alive connection that cannot migrate is closed after this long without a byte, so that a request on its way does not reach a closed socket',
      default: second,
    },
    migrate: {
      group: 'Lifecycle',
      kind: boolean,
      description:
        'When a worker or thread is replaced, migrate its keep-alive connections to others instead of closing them; Linux only',
      default: true,
    },
    canary: {
      group: 'Lifecycle',
      kind: count(0, 1_000_000),
      description:
        'On a reload, compare this many first requests of the new generation with those of the old one, and roll back if they fail more often, crash or take longer; 0 turns this off',
      default: 0,
    },
    quarantineAfter: {
      group: 'Lifecycle',
      kind: count(0, 1000),
      description:
        'Refuse a request with 503 if it (same method, target and body) was in flight at this many deaths or hangs of workers; 0 turns this off',
      default: 3,
    },
    maxRequests: {
      group: 'Lifecycle',
      kind: count(0, 1_000_000_000),
      description: 'Replace a worker after it has served this many requests; 0 is never',
      default: 0,
      noEffect: withoutRecycling,
    },
    maxRequestsJitter: {
      group: 'Lifecycle',
      kind: count(0, 1_000_000_000),
      description:
        'Add a random number, up to this, to --max-requests of each worker, so that workers are not all replaced at once',
      default: 0,
      noEffect: withoutRecycling,
    },
    maxMemory: {
      group: 'Lifecycle',
      kind: size(0, 1024 * 1024 * mega),
      description: 'Replace a worker process when its resident memory exceeds this; 0 is never. Needs /proc',
      default: 0,
      noEffect: withoutRecycling,
    },
    maxThreadHeap: {
      group: 'Lifecycle',
      kind: size(0, 1024 * 1024 * mega),
      description:
        'Maximum JavaScript heap of each thread; a thread that exceeds it ends and is replaced, and the other threads go on; 0 uses the default of V8',
      default: 0,
      noEffect: (facts) => (facts.threaded ? undefined : withModel(facts)),
    },
    maxAge: {
      group: 'Lifecycle',
      kind: duration(0, 365 * day),
      description: 'Replace a worker after it has served for this long; 0 is never',
      default: 0,
      noEffect: withoutRecycling,
    },
    user: {
      group: 'Lifecycle',
      kind: name,
      description: 'Run the workers as this user: each switches to it before it loads the app; needs root',
      defaultWords: 'the user of the supervisor',
    },
    group: {
      group: 'Lifecycle',
      kind: name,
      description: 'Run the workers in this group; needs root',
      defaultWords: 'the group of --user',
    },
    umask: {
      group: 'Lifecycle',
      kind: mode,
      description: 'File mode creation mask of the workers, in octal',
      defaultWords: 'inherited',
    },
    daemon: {
      group: 'Lifecycle',
      kind: boolean,
      description: 'Run in the background; the command returns when the server is ready or has failed to start',
      default: false,
    },
    pidFile: {
      group: 'Lifecycle',
      kind: file,
      description: 'Write the process id of the supervisor to this file; the stale file of a dead server is replaced',
      defaultWords: 'none',
    },
    control: {
      group: 'Lifecycle',
      kind: file,
      description: 'Listen for mpserve ctl on this Unix socket (mode 0600: only the owner may connect)',
      defaultWords: 'off, or beside --pid-file: app.ctl for app.pid',
    },
    bootTimeout: {
      group: 'Lifecycle',
      kind: duration(1, day),
      description: 'Time for a worker to start and load the app',
      default: 30 * second,
    },

    logFile: {
      group: 'Logging',
      kind: file,
      description: 'Append the log to this file',
      defaultWords: 'standard output',
    },
    logLevel: {
      group: 'Logging',
      kind: choice<LogLevel>(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'LEVEL'),
      description: 'Lowest level that is logged',
      default: 'info',
    },
    logFormat: {
      group: 'Logging',
      kind: choice<'json' | 'pretty'>(['json', 'pretty'], 'FORMAT'),
      description: 'Format of the log lines',
      defaultWords: 'pretty on a terminal, json elsewhere',
    },
    accessLog: {
      group: 'Logging',
      kind: logDestination,
      description: 'Append a line for each request to this file; - is standard output',
      defaultWords: 'off',
    },
    captureOutput: {
      group: 'Logging',
      kind: boolean,
      description: 'Turn the output of the app into log lines; without it, the output passes through unchanged',
      default: false,
    },
  };
  return Object.fromEntries(Object.entries(rows).map(([key, row]) => [key, { ...row, ...names(key) }])) as OptionTable;
}

export function listOptions(table: OptionTable): readonly Option[] {
  return Object.values(table);
}

/** The default, as `--help` and the reference page show it. */
export function defaultWords(option: Option | CommandOption): string {
  if (option.defaultWords !== undefined) return option.defaultWords;
  if (option.default === undefined) return '';
  const written = option.kind.write(option.default);
  return Array.isArray(written) ? written.join(' ') : String(written);
}

function names(key: string): { key: string; flag: string; env: string } {
  const words = key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
  return { key, flag: words.join('-'), env: `MPSERVE_${words.join('_').toUpperCase()}` };
}

function withModel(facts: ModelFacts): string {
  return `with the model ${facts.name}`;
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
