// Who may import whom: the plan of the house in `docs/architecture.md`, as a table that is checked. A change here is
// a change of the architecture.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const src = path.join(import.meta.dirname, '../src');

/** At the bottom: any file may import them, and they import nothing but each other. */
const leaves = [
  'activity',
  'back-off',
  'balance',
  'clock',
  'config',
  'connection',
  'deferred',
  'errors',
  'events',
  'hash',
  'inflight',
  'hang',
  'http/coding-name',
  'http/header',
  'log',
  'memory',
  'migration',
  'os',
  'overload',
  'rare-report',
  'rate-limit',
  'reports',
  'scaling',
  'scoreboard',
  'secondary',
  'thenable',
];

/** A worker as its host sees it. */
const outside = [
  'tasks/wire',
  'worker/checked-messages',
  'worker/diagnostics',
  'worker/exit-deadline',
  'worker/hand-over',
  'worker/messages',
  'worker/questions',
  'worker/runtime',
  'worker/settings',
  'worker/start-up',
  'worker/worker',
];

/** A place (a file without `.ts`, or a folder), and what it may import besides itself. The first row that fits. */
const rules: readonly (readonly [place: string, ...mayImport: string[]])[] = [
  ['index', 'api', 'config/user-config'],
  // Starts a server as a user would, and sends it commands.
  ['api', 'control', 'strategies/models', 'config'],
  // The supervisor's side.
  [
    'cli',
    'supervisor/successor',
    'supervisor/supervisor',
    'strategies/models',
    'worker/fork',
    'control',
    'bench',
    'prove',
    'pm2',
    'testbed/progress',
    'top',
    ...leaves,
  ],
  // Starts servers as a user would, and knows nothing of their insides.
  ['testbed', ...leaves],
  // Compares them.
  ['bench', 'testbed', ...leaves],
  // What the files of another tool say.
  ['pm2', 'config'],
  // Sends them the commands of operators.
  ['prove', 'testbed', 'control', ...leaves],
  [
    'supervisor',
    'strategies',
    'worker/fork',
    'worker/process-runtime',
    'cache/purge-log',
    'cache/purges',
    'cache/shared-layout',
    'control',
    'admin',
    'metrics',
    ...outside,
    ...leaves,
  ],
  // What workers are at.
  ['scoreboard', 'clock', 'reports'],
  // The app of the processes that have the connections, where other workers have the app.
  ['routes', 'app/app', 'app/server-app', 'pipeline', 'worker/settings', ...leaves],
  // In a browser.
  ['admin/page', 'admin/live', 'control/protocol', 'log/escape', 'scoreboard/loop-view'],
  // What operators can see of a server, and do, over HTTP.
  ['admin', 'clock', 'control/perform', 'control/protocol', 'log/escape', 'metrics', 'reports'],
  // What is counted, in memory that outlives who counts, and its text for scrapers.
  [
    'metrics',
    'balance/policy',
    'config/config',
    'control/protocol',
    'memory/parts',
    'overload/layout',
    'reports',
    'scoreboard',
  ],
  // The messages between an operator and a server.
  ['control/text', 'control', 'scoreboard/loop-view', 'strategies/models', 'log'],
  ['control', 'admin/pages', 'scoreboard', ...leaves],
  // A server in the terminal of an operator, over its control socket.
  ['top', 'control/client', 'control/loop-summary', 'control/protocol', 'control/text', 'scoreboard', 'clock', 'log'],
  // Both classes serve in the supervisor and in a process of threads.
  ['strategies', 'client/session', 'client/session-rule', ...outside, ...leaves],
  // A worker as its host sees it.
  [
    'worker/messages',
    'balance/policy',
    'client/session',
    'connection/incoming',
    'errors',
    'events',
    'hang/loop-stack',
    'inflight/denylist',
    'migration',
    'reports/report',
    'scoreboard/loop-view',
    'secondary',
  ],
  [
    'worker/checked-messages',
    'worker/messages',
    'hang/loop-stack',
    'reports',
    'errors',
    'scoreboard/loop-check',
    'secondary',
  ],
  [
    'worker/runtime',
    'worker/messages',
    'connection/incoming',
    'hang/loop-stack',
    'reports/report',
    'secondary/address',
    'tasks/wire',
  ],
  ['worker/settings', 'worker/runtime', ...leaves],
  ['worker/worker', 'client/session', ...outside, ...leaves],
  ['worker/hand-over', 'worker/runtime', 'balance/loop-samples', 'clock', 'connection', 'deferred'],
  ['worker/questions', 'worker/messages', 'worker/runtime', 'clock', 'deferred'],
  ['worker/start-up', 'clock', 'deferred', 'errors'],
  ['worker/exit-deadline', 'worker/runtime', 'clock'],
  [
    'worker/diagnostics',
    'worker/messages',
    'worker/questions',
    'worker/runtime',
    'clock',
    'hang/loop-stack',
    'os',
    'scoreboard/loop-view',
  ],
  ['worker/fork', ...outside, ...leaves],
  ['worker/process-runtime', 'worker/fork', ...outside, ...leaves],
  ['worker/thread-runtime', 'worker/service', 'worker/thread-counters', ...outside, ...leaves],
  ['worker/thread-counters', 'tasks/wire'],
  // Requests that a process hands to its threads: both ends, and what goes between them.
  ['tasks/wire', 'pipeline/app-server'],
  ['tasks', 'app/app', 'client', 'pipeline', ...leaves],
  // The inside of a worker.
  [
    'worker/thread-host',
    'metrics/host-counters',
    'strategies',
    'worker/thread-runtime',
    'worker/service',
    'tasks/task-thread',
    ...outside,
    ...leaves,
  ],
  ['worker/process-main', 'worker', 'app/close-app', 'metrics/counters', ...leaves],
  [
    'worker',
    'routes/forwarder',
    'pipeline/pipeline',
    'pipeline/busy',
    'pipeline/readiness',
    'pipeline/warm-up',
    'pipeline/journal',
    'pipeline/loop-watch',
    'client/session-rule',
    'tasks',
    'app/load',
    'app/load-limits',
    'app/app',
    'app/secondary-servers',
    'app/close-app',
    'app/pm2',
    ...leaves,
  ],
  [
    'pipeline',
    'activity',
    'app/app',
    'balance/slowest',
    'cache',
    'client',
    'clock',
    'config',
    'connection/incoming',
    'errors',
    'events',
    'http',
    'inflight',
    'log',
    'memory/parts',
    'memory/shared-report',
    'metrics/counters',
    'metrics/layout',
    'migration',
    'os/descriptor',
    'os/node-socket',
    'overload',
    'rate-limit',
    'reports/report',
    'scaling/response-stats',
    'scoreboard/loop-view',
    'static',
    'thenable',
  ],
  // Files, as clients ask for them.
  ['static', 'config/config', 'config/static-mount', 'errors', 'http'],
  // What HTTP says that is not about files.
  ['http'],
  ['app', 'clock', 'config/app-path', 'config/nearest', 'deferred', 'errors', 'os/files', 'secondary/address'],
  // Both sides.
  ['deferred'],
  ['thenable'],
  ['errors'],
  ['activity'],
  ['clock'],
  ['back-off'],
  ['rare-report', 'clock'],
  ['balance', 'client/peer', 'client/session', 'clock', 'hash'],
  // Who the client of a request is.
  ['client', 'hash'],
  ['config', 'balance/policy', 'client/networks', 'client/session-rule', 'errors', 'http/coding-name'],
  ['hash'],
  // When members of a pool are replaced, how many there should be, and how loaded they are.
  ['scaling/load-meter', 'scaling', 'pipeline/busy'],
  ['scaling', 'clock', 'config/config'],
  ['events', 'config/config', 'errors', 'overload/layout', 'reports/report'],
  // What the server acts on. The log gets events, and only `reports` may tell it of reports.
  ['reports/report', 'errors', 'scaling/response-stats'],
  ['reports', 'errors', 'events', 'overload/layout'],
  // Requests on record, in memory that survives the process that serves them.
  ['inflight', 'clock', 'config/config', 'events', 'hang/heartbeat', 'os', 'reports'],
  // Whether event loops are blocked, and in what.
  ['hang', 'activity', 'clock', 'os/process-tree', 'reports/report'],
  [
    'log',
    'config/access-template',
    'http/header',
    'clock',
    'config/config',
    'errors',
    'events',
    'os/descriptor',
    'os/libc',
    'reports/report',
  ],
  ['os', 'config/address', 'clock'],
  // What all event loops of a server share.
  ['memory', 'config/config', 'errors', 'os'],
  // Requests that wait for the app, and those that are refused.
  ['overload', 'clock', 'config/config', 'config/shed-goal', 'errors'],
  // Responses that are used again: the rules of HTTP, and where they are kept.
  ['cache', 'config/redis-url', 'hash', 'memory/parts', 'metrics/layout', 'rate-limit/sip-hash'],
  // How many requests each client has left.
  ['rate-limit', 'clock', 'config/rate-limit', 'memory/parts'],
  // The sockets of the app's secondary servers.
  ['secondary', 'os/descriptor', 'os/socket-file'],
  // Connections until they are served, and how they migrate.
  ['connection', 'client', 'clock', 'config/config', 'migration/channel', 'migration/receiver', 'os', 'rare-report'],
  [
    'migration',
    'client/proxy-header',
    'client/session',
    'connection/incoming',
    'connection/listening-socket',
    'os',
    'rare-report',
  ],
];

/** Where each package is used, and the modules of Node that tell processes and threads. */
const owners: Readonly<Record<string, readonly string[]>> = {
  autocannon: ['bench/closed-loop'],
  '@redis/client': ['cache/redis/client'],
  'find-my-way': ['config/route-pattern'],
  'get-east-asian-width': ['top/cells'],
  'http-cache-semantics': ['cache/freshness'],
  koffi: ['os/libc'],
  leven: ['config/nearest'],
  mrmime: ['static/media'],
  negotiator: ['http/coding'],
  'lru-cache': ['cache/memory-store', 'cache/shared-store', 'static/static-files', 'static/file-store'],
  pino: ['log/logger'],
  'pino-pretty': ['log/pretty'],
  'prom-client': ['metrics/text'],
  piscina: ['worker/thread-runtime'],
  srvx: ['app/fetch'],
  uplot: ['admin/page', 'bench/page'],
  yargs: ['config/help'],
  'node:cluster': ['app/cluster-fork'],
  // A file that did not load is linked once more in a child, to find the line of its error; what node takes, it says.
  'node:child_process': [
    'log/compression',
    'worker/fork',
    'worker/process-runtime',
    'os/ipc-channel',
    'supervisor/successor',
    'app/load-failure',
    'config/error-location',
    'config/node-arg',
    'config/user',
    'testbed/server-process',
    'testbed/load-process',
    'cli/starter',
    'api/start',
  ],
  'node:worker_threads': ['worker/thread-runtime', 'worker/thread-main', 'prove/fault-hook'],
};

interface Import {
  readonly from: string;
  /** `pipeline/stage`, or the name of a package. */
  readonly to: string;
  /** Nothing of it is left when the program runs. */
  readonly isType: boolean;
  /** Loaded only when the program gets there. */
  readonly isLater: boolean;
}

const statement = /^(?:import|export)\s+(type\s+)?(?:[\w$*{},\s]+?\sfrom\s+)?'([^']+)'/gm;
const expression = /\b(typeof\s+)?(?:import|resolve|createRequire\([^()]*\))\('([^']+)'\)/g;

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

const imports: readonly Import[] = files.flatMap((from) => {
  const text = readFileSync(path.join(src, `${from}.ts`), 'utf8');
  return [statement, expression].flatMap((shape) =>
    [...text.matchAll(shape)].map(([, type, name = '']) => {
      const to = name.startsWith('.') ? path.join(path.dirname(from), name).replace(/\.js$/, '') : name;
      return { from, to, isType: type !== undefined, isLater: shape === expression };
    }),
  );
});
const inside = imports.filter(({ to }) => existsSync(path.join(src, `${to}.ts`)));

const isIn = (place: string, file: string): boolean => file === place || file.startsWith(`${place}/`);
const words = ({ from, to }: Import): string => `${from} imports ${to}`;

/** All that is loaded, sooner or later, where `root` is. */
function reach(root: string): Set<string> {
  const reached = new Set([root]);
  for (const file of reached) {
    for (const { from, to, isType } of inside) if (from === file && !isType) reached.add(to);
  }
  return reached;
}

/** All that is loaded before any of `roots` has done anything: files, packages and modules of Node. */
function loadedBy(...roots: readonly string[]): string[] {
  const loaded = new Set(roots);
  for (const file of loaded) {
    for (const { from, to, isType, isLater } of imports) if (from === file && !isType && !isLater) loaded.add(to);
  }
  return [...loaded];
}

describe('the parts of the server', () => {
  test('each have their row, and each row its part', () => {
    const rowOf = (file: string) => rules.find(([place]) => isIn(place, file))?.[0];
    expect(files.filter((file) => rowOf(file) === undefined)).toEqual([]);
    expect(rules.map(([place]) => place).filter((place) => !files.some((file) => rowOf(file) === place))).toEqual([]);
  });

  test('import only what they may', () => {
    const wrong = inside.filter(({ from, to }) => {
      const [place = '', ...mayImport] = rules.find(([place]) => isIn(place, from)) ?? [];
      return ![place, ...mayImport].some((allowed) => isIn(allowed, to));
    });
    expect(wrong.map(words)).toEqual([]);
  });

  test('import files that exist', () => {
    expect(imports.filter(({ to }) => to.startsWith('.')).map(words)).toEqual([]);
    const local = imports.filter(({ to }) => files.some((file) => file.split('/')[0] === to.split('/')[0]));
    expect(local.filter((one) => !inside.includes(one)).map(words)).toEqual([]);
  });

  test.each(Object.keys(owners))('leave %s to those who own it', (name) => {
    const users = imports.filter(({ to }) => to === name || to.startsWith(`${name}/`));
    expect(users.filter(({ from }) => !owners[name]?.some((place) => isIn(place, from))).map(words)).toEqual([]);
  });

  test('own each package that mpserve depends on', () => {
    const { dependencies } = JSON.parse(readFileSync(path.join(src, '../package.json'), 'utf8'));
    expect(Object.keys(dependencies).filter((name) => !(name in owners))).toEqual([]);
    expect(Object.keys(dependencies).filter((name) => !imports.some(({ to }) => isIn(name, to)))).toEqual([]);
  });
});

test('the supervisor loads nothing of what runs an app', () => {
  const loaded = [...reach('cli/main')];
  expect(
    loaded.filter((file) =>
      ['app', 'pipeline', 'worker/main', 'worker/process-main'].some((place) => isIn(place, file)),
    ),
  ).toEqual([]);
});

test('mpserve ctl loads nothing of the server, no package, and no HTTP', () => {
  const loaded = loadedBy('cli/main', 'cli/ctl');
  expect(loaded).toEqual(expect.arrayContaining(['control/client', 'config/load', 'strategies/models']));
  const server = ['supervisor', 'strategies/create', 'strategies/pool', 'worker', 'log/logger'];
  expect(loaded.filter((file) => server.some((place) => isIn(place, file)))).toEqual([]);
  const packages = loaded.filter((name) => !files.includes(name) && !name.startsWith('node:'));
  expect(packages).toEqual([]);
  expect(loaded.filter((name) => /^node:(http|child_process|worker_threads|crypto)$/.test(name))).toEqual([]);
});

test('mpserve top loads nothing of the server, one package, and no HTTP', () => {
  const loaded = loadedBy('cli/main', 'cli/top');
  expect(loaded).toEqual(expect.arrayContaining(['control/client', 'top/page', 'top/screen']));
  const unneeded = ['supervisor', 'strategies/create', 'strategies/pool', 'worker', 'log/logger', 'bench', 'testbed'];
  expect(loaded.filter((file) => unneeded.some((place) => isIn(place, file)))).toEqual([]);
  const packages = loaded.filter((name) => !files.includes(name) && !name.startsWith('node:'));
  expect(packages).toEqual(['get-east-asian-width']);
  expect(loaded.filter((name) => /^node:(http|child_process|worker_threads|crypto)$/.test(name))).toEqual([]);
});

test.each(['worker/process-main', 'worker/thread-main'])('%s loads nothing of the supervisor', (root) => {
  const loaded = [...reach(root)];
  expect(loaded.filter((file) => ['cli', 'supervisor'].some((place) => isIn(place, file)))).toEqual([]);
});

test('a worker that hosts no threads loads no strategy', () => {
  const loaded = loadedBy('worker/process-main', 'worker/thread-main');
  const ofAHost = ['strategies', 'worker/worker', 'worker/diagnostics', 'worker/hand-over', 'worker/questions'];
  expect(loaded.filter((file) => ofAHost.some((place) => isIn(place, file)))).toEqual([]);
});

test('a worker without --rate-limit loads nothing that counts requests', () => {
  const loaded = loadedBy('worker/process-main', 'worker/thread-main');
  expect(loaded.filter((file) => ['rate-limit', 'pipeline/client-limit'].some((place) => isIn(place, file)))).toEqual(
    [],
  );
});

test('a worker without --cache loads nothing of it', () => {
  const loaded = loadedBy('worker/process-main', 'worker/thread-main');
  expect(
    loaded.filter((file) =>
      ['cache', 'pipeline/cache', 'pipeline/recording', 'rate-limit/sip-hash'].some((place) => isIn(place, file)),
    ),
  ).toEqual([]);
});

test('a cache in memory loads no other store', () => {
  const loaded = loadedBy('pipeline/cache-stage');
  expect(loaded).toContain('cache/memory-store');
  expect(loaded.filter((file) => isIn('cache/redis', file))).toEqual([]);
});

test('a worker without --compress loads nothing of it', () => {
  const loaded = loadedBy('worker/process-main', 'worker/thread-main');
  const ofIt = ['pipeline/compress-stage', 'pipeline/compressing', 'pipeline/compressors', 'http/coding', 'node:zlib'];
  expect(loaded.filter((file) => ofIt.includes(file))).toEqual([]);
});

test('only the table of models knows their names', () => {
  const names = /'(ppc|prefork|tpc|prethread|hybrid)'/g;
  const asking = files
    .filter((file) => !isIn('strategies/models', file))
    .flatMap((file) => {
      const found = readFileSync(path.join(src, `${file}.ts`), 'utf8').match(names) ?? [];
      return found.map((name) => `${file} names ${name}`);
    });
  // Which model it is when nobody says.
  expect(asking).toEqual(["config/options names 'prefork'"]);
});

test('no code compares with the name of a model, a way to accept or a runtime', () => {
  const comparison =
    /(?:[=!]==\s*|case\s+)'(ppc|prefork|tpc|prethread|hybrid|shared|dispatch|process|thread|inline|pooled)'/g;
  const comparing = files
    .filter((file) => !isIn('strategies/models', file)) // where a way to accept becomes a placement
    .flatMap((file) =>
      [...readFileSync(path.join(src, `${file}.ts`), 'utf8').matchAll(comparison)].map(
        ([found]) => `${file}: ${found}`,
      ),
    );
  expect(comparing).toEqual([]);
});

test('only the log reads events, and only one file passes reports on to it', () => {
  const matching = (sign: RegExp) =>
    files
      .filter((file) => !isIn('admin/page', file)) // in a browser
      .filter((file) => sign.test(readFileSync(path.join(src, `${file}.ts`), 'utf8')));
  // Other code can only tell `Events` of an event: it has one reader, which is the log.
  expect(matching(/\bevents\.(?!tell\b|js\b|includes\b)\w/i)).toEqual(['cli/serve']);
  expect(readFileSync(path.join(src, 'cli/serve.ts'), 'utf8')).toContain('events.open(openLog(');
  expect(matching(/\bServerEvent\b/)).toEqual(['events', 'log/logger', 'log/pretty', 'reports/reports']);
  expect(matching(/\bwording\[/)).toEqual(['log/logger']);
});

// Its row in the table, and the code that uses it. What is between them passes on its section. A trial of `prove` is a
// user of the server, and writes a configuration file; in the cache, a max-age is that of HTTP.
test.each(['maxBodySize', 'drainQuiet', 'maxThreadHeap', 'maxAge', 'spareMax', 'idleTimeout', 'scaleOn', 'readyPath'])(
  'at most three files name the option %s',
  (key) => {
    const word = new RegExp(`\\b${key}\\b`);
    const ofTheServer = files.filter((file) => !file.startsWith('prove/trials/') && !file.startsWith('cache/'));
    const naming = ofTheServer.filter((file) => word.test(readFileSync(path.join(src, `${file}.ts`), 'utf8')));
    expect(naming).toContain('config/options');
    expect(naming.length, naming.join(', ')).toBeLessThanOrEqual(3);
  },
);
