// The level and the message of every event. Other tests match events and their fields, so a message can be reworded here
// alone.
import { expect, test } from 'vitest';
import { type ServerEvent, wording } from '../../src/events.ts';

type Name = ServerEvent['event'];
type Of<N extends Name> = Extract<ServerEvent, { event: N }>;
type Fields<N extends Name> = Of<N> extends infer E ? (E extends unknown ? Omit<E, 'event'> : never) : never;

const worker = { worker: 2, pid: 42 };
const thread = { pid: 42, tid: 3 };
const err = { type: 'Error', message: 'boom', stack: 'Error: boom' };
const request = { reqId: 'a1', method: 'GET', url: '/a' };
const inFlight = { ...request, ageMs: 120 };
const lost = { ...inFlight, fingerprint: 'GET /a none' };

/** Fields of each event, once for each form of its message. An event without fields here does not compile. */
const samples: { readonly [N in Name]: readonly [Fields<N>, ...Fields<N>[]] } = {
  ready: [
    {
      url: 'http://127.0.0.1:8080',
      urls: ['http://127.0.0.1:8080', 'unix:/run/app.sock'],
      model: 'prefork',
      workers: 2,
      threads: 1,
      bootMs: 90,
    },
  ],
  warning: [{ warning: 'the app runs as root' }],
  'worker-started': [{ ...worker, generation: 1 }],
  'worker-died': [
    { ...worker, reason: 'it exited with code 1', replacedInMs: 0 },
    { ...worker, reason: 'it was ended by SIGKILL', replacedInMs: 500 },
    { ...worker, reason: 'it exited with code 1', replacedInMs: undefined },
  ],
  'worker-unfit': [{ worker: 2, reason: 'cannot load the app' }],
  'worker-killed': [{ ...worker, reason: 'it had not ended in time' }],
  'worker-message-invalid': [
    { ...worker, count: 1, type: 'ready' },
    { ...worker, count: 2, type: 'ready' },
  ],
  'worker-recycled': [{ ...worker, reason: 'it has answered 1000 requests' }],
  'thread-lost': [
    { ...thread, connections: 1, reason: 'boom', replacedInMs: 0 },
    { ...thread, connections: 2, reason: 'boom', replacedInMs: 500 },
    { ...thread, connections: 0, reason: 'boom', replacedInMs: undefined },
  ],
  'server-closed': [
    { pid: 42, tid: 0, replacedInMs: 0 },
    { ...thread, replacedInMs: 500 },
    { pid: 42, tid: 0, replacedInMs: undefined },
  ],
  'thread-recycled': [{ ...thread, reason: 'it is 60 s old' }],
  'thread-unfit': [{ ...thread, reason: 'cannot load the app', retryInMs: 500 }],
  'threads-scaled': [{ pid: 42, from: 2, to: 4, reason: 'fewer idle than --spare-min 1' }],
  'sessions-placed-again': [{ pid: 42, count: 3 }],
  'threads-down': [{ pid: 42 }],
  'threads-up': [{ pid: 42 }],
  'limits-changed': [
    { fromCores: 1, cores: 4, memory: 512 * 1024 ** 2, needsReload: false },
    { fromCores: 4, fromMemory: 2 ** 30, cores: 2, memory: 2 ** 28, needsReload: true },
  ],
  down: [{}],
  up: [{ ms: 1200 }],
  'probation-passed': [{ ms: 1000 }],
  hung: [
    { pid: 42, tid: 0, stillMs: 1000.4, stack: ['spin (/app.js:3:1)'], requests: [inFlight] },
    { ...thread, stillMs: 1000, stack: ['spin (/app.js:3:1)'], requests: [] },
    { pid: 42, stillMs: 1000, stack: [], requests: [] },
    { ...thread, stillMs: 1000, stack: [], requests: [] },
  ],
  'app-crashed': [
    { pid: 42, tid: 0, err },
    { ...thread, err },
  ],
  'connection-lost': [{ reason: 'the server is stopping' }],
  'connections-shed': [
    { ...thread, count: 1 },
    { ...thread, count: 2 },
  ],
  'rate-limited': [{ ...thread, count: 3, remote: '203.0.113.7' }],
  'proxy-refused': [{ ...thread, count: 3, peer: '203.0.113.7', reason: 'it is not one of --trust-proxy' }],
  overloaded: [
    { ...thread, ...request, reason: 'queue-full', count: 1, waitedMs: 0 },
    { ...thread, ...request, reason: 'queue-timeout', count: 3, waitedMs: 1001 },
    { ...thread, ...request, reason: 'shed', count: 3, waitedMs: 460 },
    { ...thread, ...request, reason: 'draining', count: 2, waitedMs: 300 },
  ],
  'descriptors-used-up': [{ ...thread, used: 60, limit: 64, connections: 20 }],
  'migration-refused': [{ ...thread, count: 1, senderPid: 77, senderUid: 1000 }],
  'static-unreadable': [{ ...thread, dirs: ['/srv/dist'], reason: 'EACCES' }],
  'cache-store-down': [
    { ...thread, store: 'redis://cache?prefix=shop', part: 'all', reason: 'no answer within 100 ms' },
    {
      ...thread,
      store: 'redis://cache?prefix=shop',
      part: 'writes',
      reason: "OOM command not allowed when used memory > 'maxmemory'.",
    },
  ],
  'cache-store-up': [
    { ...thread, store: 'redis://cache?prefix=shop', part: 'all', ms: 1500 },
    { ...thread, store: 'redis://cache?prefix=shop', part: 'writes', ms: 1500 },
  ],
  'access-log-failed': [{ ...thread, reason: 'EPIPE' }],
  'several-servers': [{ ...thread, served: 'on port 3000', others: ['port 9464', 'unix:/run/admin.sock'] }],
  'cluster-fork': [thread],
  'upgrades-refused': [{ pid: 42, tid: 0 }],
  'thread-limits': [{ ...thread, uses: ['process.setuid()', 'SIGHUP'] }],
  'access-lines-unwritten': [{ ...thread, count: 3 }],
  'access-log-resumed': [{ ...thread, lost: 3 }],
  'log-resumed': [{ lost: 3 }],
  'request-failed': [{ ...thread, ...request, err }],
  'response-cut': [{ ...thread, ...request, err }],
  'request-overdue': [{ ...thread, ...request, err }],
  'request-refused': [{ ...thread, ...request }],
  'request-lost': [{ ...thread, ...lost }],
  'request-cut': [{ ...thread, ...inFlight }],
  'client-gone': [{ ...thread, ...request, err }],
  answers: [{ ...thread, count: 10, failed: 1, times: [10] }],
  quarantined: [{ method: 'GET', url: '/a', fingerprint: 'GET /a none', deaths: 3 }],
  'suspect-cleared': [{ ...thread, fingerprint: 'GET /a none' }],
  'cache-purged': [{ purged: 'the responses for /news', reason: 'mpserve ctl purge' }],
  'quarantine-cleared': [{ count: 1, reason: 'mpserve ctl release' }],
  output: [{ pid: 42, stream: 'stdout', text: 'hello' }],
  reloading: [{ reason: 'SIGHUP' }],
  reloaded: [{ generation: 2, workers: 2, ms: 300 }],
  'canary-passed': [{ requests: 100, failed: 1, p99: 12.34, oldRequests: 200, oldFailed: 2, oldP99: 11 }],
  'balance-changed': [{ from: 'round-robin', to: 'least-connections', reason: 'mpserve ctl balance' }],
  'admin-ready': [{ url: 'http://127.0.0.1:9090' }],
  'admin-refused': [{ count: 2, address: '192.0.2.1' }],
  'dump-started': [
    { kind: 'profile', worker: 1, pid: 42 },
    { kind: 'heap', worker: 2, pid: 43, tid: 1 },
  ],
  'dump-failed': [{ kind: 'heap', worker: 2, pid: 43, reason: 'it has ended' }],
  'stop-delayed': [{ reason: 'SIGTERM', ms: 10_000 }],
  switched: [
    {
      from: 'prefork',
      model: 'hybrid',
      unit: 'request',
      workers: 1,
      threads: 4,
      ms: 300,
      reason: 'mpserve ctl switch',
    },
  ],
  upgraded: [{ pid: 99, version: 'v24.0.0', ms: 300, reason: 'SIGUSR2' }],
  scaled: [{ unit: 'workers', from: 2, to: 3, reason: 'SIGTTIN' }],
  drained: [{ reason: 'SIGWINCH' }],
  'log-rotated': [
    { file: '/var/log/access.log', rotated: '/var/log/access.log-20261127T000000.123Z', bytes: 104_857_600 },
  ],
  'log-rotation-failed': [{ file: '/var/log/access.log', reason: 'ENOSPC: no space left on device' }],
  'logs-reopened': [{ files: ['server.log', 'access.log'], reason: 'SIGUSR1' }],
  'operation-refused': [{ action: 'reload', reason: 'the server is still starting', by: 'SIGHUP' }],
  'operation-failed': [{ action: 'reload', reason: 'cannot load the app', isRolledBack: true }],
  stopping: [{ reason: 'SIGTERM', gracefulMs: 30_000 }],
  stopped: [{ reason: 'SIGTERM', requests: 1 }],
};

test('each event has this level and message', () => {
  const lines = Object.entries(samples).flatMap(([event, fields]) => {
    const [level, messageOf] = wording[event as Name] as readonly [string, (event: object) => string];
    return fields.map((one) => `${event} ${level}: ${messageOf({ event, ...one })}`);
  });
  expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
    "
    ready info: serving on http://127.0.0.1:8080, unix:/run/app.sock
    warning warn: the app runs as root
    worker-started debug: worker 2 (pid 42) is ready
    worker-died error: worker 2 (pid 42) died: it exited with code 1; its connections are lost; replacing it now
    worker-died error: worker 2 (pid 42) died: it was ended by SIGKILL; its connections are lost; replacing it in 500 ms
    worker-died error: worker 2 (pid 42) died: it exited with code 1; its connections are lost
    worker-unfit error: a new worker 2 could not start: cannot load the app; retrying
    worker-killed warn: killed worker 2 (pid 42): it had not ended in time
    worker-message-invalid warn: ignored 1 invalid message from worker 2 (pid 42); does the app write to mpserve's IPC channel?
    worker-message-invalid warn: ignored 2 invalid messages from worker 2 (pid 42); does the app write to mpserve's IPC channel?
    worker-recycled info: replaced worker 2 (pid 42): it has answered 1000 requests
    thread-lost error: thread 3 of worker pid 42 died: boom; it lost 1 connection; replacing it now
    thread-lost error: thread 3 of worker pid 42 died: boom; it lost 2 connections; replacing it in 500 ms
    thread-lost error: thread 3 of worker pid 42 died: boom; it lost 0 connections
    server-closed warn: the app closed its server in worker pid 42 (server.close()): it accepts no more connections, finishes its requests and ends; replacing it now
    server-closed warn: the app closed its server in thread 3 of worker pid 42 (server.close()): it accepts no more connections, finishes its requests and ends; replacing it in 500 ms
    server-closed warn: the app closed its server in worker pid 42 (server.close()): it accepts no more connections, finishes its requests and ends
    thread-recycled info: replaced thread 3 of worker pid 42: it is 60 s old
    thread-unfit error: a new thread could not start: cannot load the app; retrying in 500 ms
    threads-scaled info: scaled from 2 to 4 threads in worker pid 42 (fewer idle than --spare-min 1)
    sessions-placed-again info: placed 3 sessions (--sticky) whose worker has gone, or that were not known
    threads-down warn: none of the threads of worker pid 42 can serve; replacing them
    threads-up info: a thread of worker pid 42 can serve again
    limits-changed info: the limits of the container have changed from 1 processor and no limit on memory to 4 processors and 512 MiB of memory
    limits-changed info: the limits of the container have changed from 4 processors and 1024 MiB of memory to 2 processors and 256 MiB of memory; mpserve ctl reload has the numbers of threads follow, and those of routes
    down error: no worker can serve: clients wait until one can; mpserve ctl status names the last error
    up warn: a worker can serve again, after 1200 ms without one
    probation-passed debug: the first workers have passed their probation of 1000 ms
    hung error: worker pid 42 blocked its event loop for 1000 ms in spin (/app.js:3:1) with 1 request in flight; replacing it
    hung error: thread 3 of worker pid 42 blocked its event loop for 1000 ms in spin (/app.js:3:1) with 0 requests in flight; replacing it
    hung error: worker pid 42 blocked its event loop for 1000 ms in native code; replacing it
    hung error: thread 3 of worker pid 42 blocked its event loop for 1000 ms in native code; replacing it when that code returns
    app-crashed fatal: uncaught exception in the app; the worker exits: boom
    app-crashed fatal: uncaught exception in the app; the thread exits: boom
    connection-lost error: closed a connection before it was served: the server is stopping
    connections-shed warn: --max-connections, or the limit on open files, is reached and clients are waiting; closed 1 slow idle connection
    connections-shed warn: --max-connections, or the limit on open files, is reached and clients are waiting; closed 2 slow idle connections
    rate-limited warn: refused 3 requests with 429 (--rate-limit); the last one came from 203.0.113.7
    proxy-refused warn: closed 3 connections (--proxy-protocol); the last one came from 203.0.113.7: it is not one of --trust-proxy
    overloaded warn: refused 1 request with 503: as many requests waited as --queue-max allows; the last one had waited 0 ms
    overloaded warn: refused 3 requests with 503: no place in the app was free within --queue-timeout; the last one had waited 1001 ms
    overloaded warn: refused 3 requests with 503: they had waited too long for the goal of --shed; the last one had waited 460 ms
    overloaded warn: refused 2 requests with 503: they still waited for the app near the end of --graceful-timeout; the last one had waited 300 ms
    descriptors-used-up warn: 60 of 64 descriptors are in use, with 20 connections: further clients wait until some are closed; raise the limit on open files (ulimit -n, LimitNOFILE= of systemd); if the app leaves files or sockets open, mpserve ctl reload replaces its workers
    migration-refused warn: refused 1 invalid message on the migration channel; the last one came from pid 77 of user 1000
    static-unreadable error: the worker cannot read the static files of /srv/dist: EACCES; let the user of the workers (--user) read the directories, and reload
    cache-store-down error: the store of the cache is down: no answer within 100 ms; the app answers all requests until it is back (redis://cache?prefix=shop)
    cache-store-down error: the store of the cache takes no more responses: OOM command not allowed when used memory > 'maxmemory'.; if it is full, set its maxmemory-policy to allkeys-lru (redis://cache?prefix=shop)
    cache-store-up info: the store of the cache is up again, after 1500 ms (redis://cache?prefix=shop)
    cache-store-up info: the store of the cache takes responses again, after 1500 ms (redis://cache?prefix=shop)
    access-log-failed error: cannot write the access log, so access lines may be lost: EPIPE
    several-servers info: the app has 3 servers: serving the one on port 3000; it also listens on port 9464, unix:/run/admin.sock; to serve another one, use --serve first, last or its port
    cluster-fork warn: the app calls cluster.fork(), but mpserve itself starts and replaces the worker processes: connections of forked workers do not pass through mpserve; give mpserve the file that they run, or turn the clustering of the app off, and use --workers
    upgrades-refused warn: the app has listeners for upgrades (WebSocket, CONNECT), and clients get 501: with --unit request the connections are not in the threads that run the app; use --unit connection
    thread-limits warn: the app uses what a thread does not have: process.setuid(), SIGHUP; if it depends on that, use a model whose workers are processes, such as --model prefork
    access-lines-unwritten error: a worker ends and cannot write the access log; 3 access lines of it may be lost
    access-log-resumed warn: writing the access log again; 3 access lines lost
    log-resumed warn: writing the log again; 3 lines lost
    request-failed error: the app failed on a request: boom
    response-cut error: the app failed after the response had started; closed the connection: boom
    request-overdue error: a request exceeded its deadline: boom
    request-refused error: refused a quarantined request with 503; see mpserve ctl quarantine
    request-lost error: lost a request after 120 ms: the worker or thread that served it died
    request-cut warn: aborted a request after 120 ms: --graceful-timeout has expired
    client-gone debug: the client disconnected before its response was complete
    answers trace: 10 responses, 1 with a status of 500 or more
    quarantined error: quarantined a request that was running, or alone in flight, at 3 worker deaths: it is refused with 503 for an hour; mpserve ctl quarantine lists quarantined requests, mpserve ctl quarantine clear allows them again
    suspect-cleared debug: a request that was suspected of killing a worker was answered; it is no longer a suspect
    cache-purged info: purged the responses for /news from the cache (mpserve ctl purge)
    quarantine-cleared info: cleared the quarantine of 1 request (mpserve ctl release)
    output info: hello
    reloading info: reloading (SIGHUP): the old workers serve until the new ones are ready
    reloaded info: reloaded in 300 ms: generation 2, 2 workers
    canary-passed info: the new generation passed the canary: 1 of 100 responses failed, p99 12.3 ms; old generation: 2 of 200, p99 11.0 ms
    balance-changed info: connections are placed by least-connections, and no longer by round-robin (mpserve ctl balance)
    admin-ready info: the state of the server is on http://127.0.0.1:9090
    admin-refused warn: refused 2 requests with a wrong token on the admin server; the last one came from 192.0.2.1
    dump-started info: taking a profile of worker 1 (pid 42)
    dump-started info: taking a heap snapshot of thread 1 of worker 2 (pid 43)
    dump-failed warn: could not take a heap snapshot of worker 2 (pid 43): it has ended
    stop-delayed info: stopping in 10000 ms (SIGTERM): serves on, and /readyz says that it stops (--stop-delay)
    switched info: switched from prefork to hybrid (unit request) in 300 ms (mpserve ctl switch): 1 worker, 4 threads each
    upgraded info: upgraded in 300 ms (SIGUSR2): process 99 (Node v24.0.0) serves; this one stops
    scaled info: scaled from 2 to 3 workers (SIGTTIN)
    drained warn: drained (SIGWINCH): clients wait until a reload, or until workers are added
    log-rotated info: rotated /var/log/access.log (104857600 bytes) to /var/log/access.log-20261127T000000.123Z
    log-rotation-failed error: cannot rotate or compress /var/log/access.log: ENOSPC: no space left on device; no line is lost, and mpserve tries again in a minute
    logs-reopened info: reopened server.log and access.log (SIGUSR1)
    operation-refused warn: cannot reload (SIGHUP): the server is still starting
    operation-failed error: the reload failed; the server continues as before: cannot load the app
    stopping info: stopping (SIGTERM): draining for up to 30000 ms
    stopped info: stopped (SIGTERM) after 1 request
    "
  `);
});
