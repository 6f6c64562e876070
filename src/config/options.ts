// THE option table. The parser of flags, the environment, the configuration file, `--help`, shell completion and
// docs/options.md are all made from it; nothing else lists options. The models are given to it.
import type { Measure } from '../upkeep/scaler.js';
import type { Config, LogLevel } from './config.js';
import {
  addresses,
  boolean,
  choice,
  count,
  countOrAuto,
  file,
  type Kind,
  mode,
  name,
  nodeArguments,
  oneOf,
  outlet,
  target,
} from './kind.js';
import type { Accept, ModelFacts } from './model.js';
import { duration, size } from './quantity.js';

/** The values as they are read: before `auto` is worked out and the model has had its say. */
export type Settings = Omit<Config, Ranged | 'workers' | 'threads' | 'accept'> & {
  /** undefined: as the number itself. */
  readonly [K in Ranged]: number | undefined;
} & {
  readonly workers: number | 'auto';
  readonly threads: number | 'auto';
  readonly accept: Accept;
  readonly config: string;
};

type Ranged = 'minWorkers' | 'maxWorkers' | 'minThreads' | 'maxThreads';

export type Group = 'App and model' | 'Size' | 'Listening' | 'Limits and timeouts' | 'Life' | 'Logging';

/** What a command of its own, and no other, takes with a value. */
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
  /** For `--help` and the reference page: one sentence or two, without a final stop. */
  readonly description: string;
  readonly default?: T | ((facts: ModelFacts) => T);
  /** The default in words, where it is no value that a user could write or is not the same in every model. */
  readonly defaultWords?: string;
  /** Given without a flag, as the argument of the command. */
  readonly positional?: true;
  /** Where the configuration file is cannot stand in that file. */
  readonly inFile?: false;
  /** Why it does nothing with this model and app, completing "does nothing …"; undefined where it does something. */
  idle?(facts: ModelFacts, app: string | undefined): string | undefined;
}

export interface Option<T = unknown> extends Row<T> {
  /** Of the configuration, and in its file: `maxConnections`. */
  readonly key: keyof Settings;
  /** Without its dashes: `max-connections`. */
  readonly flag: string;
  /** `MPSERVE_MAX_CONNECTIONS`. */
  readonly env: string;
}

export type OptionTable = { readonly [K in keyof Settings]: Option<Settings[K]> };

const second = 1_000;
const day = 86_400 * second;
const mega = 1024 ** 2;

/** Workers, threads, and threads in all workers together. */
export const maxUnits = 1024;

/** In the order in which they are listed. */
export function optionTable(models: readonly ModelFacts[]): OptionTable {
  const accepts = [...new Set(models.flatMap((facts) => facts.accept))];
  const sizeless = (facts: ModelFacts) => (facts.workers || facts.threads ? undefined : withModel(facts));
  const lasting = (facts: ModelFacts) => (facts.once ? withModel(facts) : undefined);
  const rows: { readonly [K in keyof Settings]: Row<Settings[K]> } = {
    app: {
      group: 'App and model',
      kind: { ...file, metavar: 'APP' },
      description: 'A file, FILE#EXPORT, or a directory of static files',
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
        'Who accepts connections: shared, all workers on one socket, or dispatch, one acceptor that places each connection',
      default: (facts) => facts.accept[0] ?? 'shared',
      defaultWords: byModel(models, (facts) => facts.accept[0]),
      idle: (facts) => (facts.accept.length > 0 ? undefined : withModel(facts)),
    },
    nodeArg: {
      group: 'App and model',
      kind: nodeArguments,
      description:
        'An option for the node that runs the workers, as in --node-arg=--max-old-space-size=512; repeatable',
      default: [],
      defaultWords: 'none',
    },
    demoFaults: {
      group: 'App and model',
      kind: boolean,
      description: 'Let the demo app answer /crash and /hang, which do what they say',
      default: false,
      idle: (_facts, app) => (app === undefined ? undefined : 'when an app is given'),
    },
    config: {
      group: 'App and model',
      kind: file,
      description: 'The configuration file',
      defaultWords: 'mpserve.config.{js,mjs,cjs,json} in the current directory',
      inFile: false,
    },

    workers: {
      group: 'Size',
      kind: countOrAuto(1, maxUnits),
      description: 'Worker processes; auto is what the model makes of the number of processors',
      default: 'auto',
      idle: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    minWorkers: {
      group: 'Size',
      kind: count(1, maxUnits),
      description: 'With --max-workers above it, the number of worker processes follows the load',
      defaultWords: 'as --workers',
      idle: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    maxWorkers: {
      group: 'Size',
      kind: count(1, maxUnits),
      description: 'The most worker processes that the load may call for',
      defaultWords: 'as --workers',
      idle: (facts) => (facts.workers ? undefined : withModel(facts)),
    },
    threads: {
      group: 'Size',
      kind: countOrAuto(1, maxUnits),
      description: `Threads in each worker process, at most ${maxUnits} in all; auto is what the model makes of the number of processors`,
      default: 'auto',
      idle: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    minThreads: {
      group: 'Size',
      kind: count(1, maxUnits),
      description: 'With --max-threads above it, the number of threads in each worker follows the load',
      defaultWords: 'as --threads',
      idle: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    maxThreads: {
      group: 'Size',
      kind: count(1, maxUnits),
      description: 'The most threads in each worker that the load may call for',
      defaultWords: 'as --threads',
      idle: (facts) => (facts.threads ? undefined : withModel(facts)),
    },
    spareMin: {
      group: 'Size',
      kind: count(1, maxUnits),
      description: 'Where the load decides: with fewer idle workers (or threads) than this, more are added',
      default: 1,
      idle: sizeless,
    },
    spareMax: {
      group: 'Size',
      kind: count(0, maxUnits),
      description:
        'Where the load decides: what is idle beyond this for --idle-timeout goes, if the others can bear it',
      default: 2,
      idle: sizeless,
    },
    idleTimeout: {
      group: 'Size',
      kind: duration(1, day),
      description: 'See --spare-max',
      default: 30 * second,
      idle: sizeless,
    },
    scaleOn: {
      group: 'Size',
      kind: choice<Measure>(['busy', 'elu', 'lag'], 'MEASURE'),
      description:
        'When a worker or thread is not idle: when it has requests for 60 % of the time (busy), when its event loop is used for as much (elu), or late by 20 ms (lag)',
      default: 'busy',
      idle: sizeless,
    },
    spares: {
      group: 'Size',
      kind: count(0, maxUnits),
      description:
        'Processes or threads that wait with the app loaded, so that a connection costs no start; each serves one and ends',
      default: 0,
      idle: (facts) => (facts.spares ? undefined : withModel(facts)),
    },

    bind: {
      group: 'Listening',
      kind: addresses,
      description:
        'Listen on HOST:PORT, [V6]:PORT, unix:PATH (a socket that only its owner may use: mode 0600), :PORT (every IPv4 address) or PORT (127.0.0.1); port 0 is any free one; repeatable',
      default: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    },
    backlog: {
      group: 'Listening',
      kind: count(1, 65_535),
      description: 'Connections that the kernel queues until they are accepted; it may have a lower limit of its own',
      default: 511,
    },
    socketMode: {
      group: 'Listening',
      kind: mode,
      description: 'Mode of the Unix sockets, in octal: 660 lets the group connect, too',
      default: 0o600,
    },
    maxConnections: {
      group: 'Listening',
      kind: count(1, 1_000_000),
      description: 'Open connections, all workers together; at the limit accepting pauses and the backlog queues',
      default: (facts) => facts.maxConnections,
      defaultWords: byModel(models, (facts) => String(facts.maxConnections)),
    },

    headerTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time for a client to send the head of a request, no longer than --request-timeout; 0 is no limit',
      default: 20 * second,
    },
    requestTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time for a client to send a whole request; 0 is no limit',
      default: 300 * second,
    },
    requestDeadline: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description:
        'Time for the app to answer a request in full; then the client gets 504 and the app an abort of req.signal; 0 is no limit',
      default: 0,
    },
    keepAliveTimeout: {
      group: 'Limits and timeouts',
      kind: duration(0, day),
      description: 'Time that a connection may idle between requests; 0 is no limit',
      default: 5 * second,
    },
    maxHeaderSize: {
      group: 'Limits and timeouts',
      kind: size(256, 16 * mega),
      description: 'Size of the head of a request; a larger one gets 431',
      default: 16 * 1024,
    },
    maxBodySize: {
      group: 'Limits and timeouts',
      kind: size(0, 1024 * 1024 * mega),
      // Node has no limit, and an app that was written for Node may take uploads of any size: it runs unmodified.
      description: 'Size of the body of a request; a larger one gets 413; 0 is no limit',
      default: 0,
    },
    maxRequestsPerConnection: {
      group: 'Limits and timeouts',
      kind: count(0, 1_000_000_000),
      description: 'Requests that a connection may carry; 0 is no limit',
      default: 0,
    },

    gracefulTimeout: {
      group: 'Life',
      kind: duration(1, day),
      description: 'Time to finish what is in flight when stopping; then workers are killed',
      default: 30 * second,
    },
    hangTimeout: {
      group: 'Life',
      kind: duration(0, day),
      description:
        'When the event loop of a worker or thread stands still for so long, log in which code and with which requests, and replace it; 0 is never',
      default: (facts) => (facts.once ? 0 : 30 * second),
      defaultWords: byModel(models, (facts) => (facts.once ? '0' : '30s')),
    },
    readyPath: {
      group: 'Life',
      kind: target,
      description: 'A new worker is ready only when it answers GET PATH with 2xx or 3xx, within --boot-timeout',
      defaultWords: 'when the app has loaded',
    },
    drainQuiet: {
      group: 'Life',
      kind: duration(0, day),
      description:
        'While draining, time without a byte after which a kept-alive connection is closed that is not carried over, so that a request on its way is not met by a closed socket',
      default: second,
    },
    migrate: {
      group: 'Life',
      kind: boolean,
      description:
        'When a worker or thread is replaced, carry its kept-alive connections over to others instead of closing them; Linux only',
      default: true,
    },
    canary: {
      group: 'Life',
      kind: count(0, 1_000_000),
      description:
        'At a reload, compare so many first requests of the new generation with those of the old one, and roll back if they fail more often, crash or take longer; 0 is not to compare',
      default: 0,
    },
    quarantineAfter: {
      group: 'Life',
      kind: count(0, 1000),
      description:
        'Answer a request with 503 when it has been in flight at so many deaths or hangs of workers (same method, target and body); 0 is never',
      default: 3,
    },
    maxRequests: {
      group: 'Life',
      kind: count(0, 1_000_000_000),
      description: 'Replace a worker when it has served so many requests; 0 is never',
      default: 0,
      idle: lasting,
    },
    maxRequestsJitter: {
      group: 'Life',
      kind: count(0, 1_000_000_000),
      description: 'Up to so many requests more, by chance, so that workers are not replaced all at once',
      default: 0,
      idle: lasting,
    },
    maxMemory: {
      group: 'Life',
      kind: size(0, 1024 * 1024 * mega),
      description: 'Replace a worker process whose resident memory is larger; 0 is never. Needs /proc',
      default: 0,
      idle: lasting,
    },
    maxThreadHeap: {
      group: 'Life',
      kind: size(0, 1024 * 1024 * mega),
      description:
        'Memory for the JavaScript objects of each thread; one that needs more ends alone and is replaced; 0 is what V8 makes of the machine',
      default: 0,
      idle: (facts) => (facts.threaded ? undefined : withModel(facts)),
    },
    maxAge: {
      group: 'Life',
      kind: duration(0, 365 * day),
      description: 'Replace a worker that has served for so long; 0 is never',
      default: 0,
      idle: lasting,
    },
    user: {
      group: 'Life',
      kind: name,
      description: 'Run the workers as this user, who is taken on before the app is loaded; needs root',
      defaultWords: 'whoever starts the server',
    },
    group: {
      group: 'Life',
      kind: name,
      description: 'Run the workers in this group; needs root',
      defaultWords: 'that of --user',
    },
    umask: {
      group: 'Life',
      kind: mode,
      description: 'The file mode creation mask of the workers, in octal',
      defaultWords: 'as it is',
    },
    daemon: {
      group: 'Life',
      kind: boolean,
      description: 'Go on in the background; the command ends when the server is ready, or has failed',
      default: false,
    },
    pidFile: {
      group: 'Life',
      kind: file,
      description: 'Write the number of the process to this file; one that a dead server has left is replaced',
      defaultWords: 'none',
    },
    control: {
      group: 'Life',
      kind: file,
      description: 'Answer mpserve ctl on this Unix socket, which only its owner may use (mode 0600)',
      defaultWords: 'off, or beside --pid-file: app.ctl for app.pid',
    },
    bootTimeout: {
      group: 'Life',
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
      description: 'The least that is logged',
      default: 'info',
    },
    logFormat: {
      group: 'Logging',
      kind: choice<'json' | 'pretty'>(['json', 'pretty'], 'FORMAT'),
      description: 'How log lines look',
      defaultWords: 'pretty on a terminal, json elsewhere',
    },
    accessLog: {
      group: 'Logging',
      kind: outlet,
      description: 'Append a line for each request to this file; - is standard output',
      defaultWords: 'off',
    },
    captureOutput: {
      group: 'Logging',
      kind: boolean,
      description: 'Turn what the app prints into log lines; otherwise it passes through untouched',
      default: false,
    },
  };
  return Object.fromEntries(Object.entries(rows).map(([key, row]) => [key, { ...row, ...names(key) }])) as OptionTable;
}

export function listOptions(table: OptionTable): readonly Option[] {
  return Object.values(table);
}

/** The default as help and reference page show it. */
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
