// `node --import captured.js TEST`: runs one of Node's own tests over a captured server. mpserve's capture replaces
// `listen()`, mpserve's acceptor accepts where the test wanted to listen, and mpserve's pipeline serves. When the test
// closes its server, the acceptor closes, so that the process ends when it would without mpserve.
import './without-request-id.cjs';
import { Server as HttpServer } from 'node:http';
import { isIP, Server } from 'node:net';
import { Activity } from '../../dist/activity.js';
import { captureListen } from '../../dist/app/capture.js';
import { serverApp } from '../../dist/app/server-app.js';
import { optionTable } from '../../dist/config/options.js';
import { Acceptor } from '../../dist/connection/acceptor.js';
import { openListeningSocket, portOf } from '../../dist/os/listening-socket.js';
import { createPipeline } from '../../dist/pipeline/pipeline.js';

const backlog = 511;
const maxConnections = 10_000;
const limitKeys = [
  'headerTimeout',
  'requestTimeout',
  'requestDeadline',
  'keepAliveTimeout',
  'maxHeaderSize',
  'maxBodySize',
  'maxRequestsPerConnection',
  'drainQuiet',
  'wsDrain',
];

const addresses = [];
const capture = captureListen(addresses, { serve: 'first' });
/** Servers that must not keep the process alive: their acceptor closes when it has no connection left. */
const unreferenced = new WeakSet();
const { unref } = Server.prototype;
Server.prototype.unref = function () {
  unreferenced.add(this);
  return unref.call(this);
};
const capturedListen = Server.prototype.listen;
Server.prototype.listen = function listen(...args) {
  const isCaptured = capture.server === this || (capture.server === undefined && this instanceof HttpServer);
  if (!isCaptured || this.listening) return capturedListen.apply(this, args);
  const { fd, address } = bind(args);
  addresses[0] = address;
  let open = 0;
  const acceptor = new Acceptor({
    fds: [fd],
    backlog,
    limit: maxConnections,
    isShared: false,
    handsOver: false,
    serve: async (connection) => {
      open++;
      await (await serving).adopt(connection);
      if (--open === 0 && unreferenced.has(this)) acceptor.close();
    },
    onCrowded: () => {},
  });
  void serving.then(() => acceptor.start());
  const listening = capturedListen.apply(this, args);
  const { close } = this;
  this.close = (callback) => {
    acceptor.close();
    return close.call(this, callback);
  };
  return listening;
};

const table = optionTable([]);
const serving = capture.listening.then((server) =>
  createPipeline({
    app: serverApp(server),
    limits: Object.fromEntries(limitKeys.map((key) => [key, table[key].default])),
    limitsGiven: [],
    files: undefined,
    clients: { trustProxy: [], proxyProtocol: false, proxyToApp: false },
    maxConnections,
    accessLog: undefined,
    busy: undefined,
    journal: undefined,
    counts: false,
    countsAnswers: false,
    migrationChannel: undefined,
    identity: { pid: process.pid, tid: 0 },
    tell: (told) => process.stderr.write(`mpserve: ${JSON.stringify(told)}\n`),
    activity: new Activity(),
  }),
);

/** Opens the socket that the test asks for. */
function bind(args) {
  const [first, second] = args;
  const isOptions = typeof first === 'object' && first !== null;
  const options = isOptions ? first : { port: first, host: second };
  const path = options.path ?? (isPath(first) ? first : undefined);
  if (path !== undefined) return { fd: openListeningSocket({ kind: 'unix', path }, backlog), address: path };
  const host = hostOf(options.host);
  const fd = openListeningSocket({ kind: 'tcp', host, port: Number(options.port) || 0 }, backlog);
  return { fd, address: { address: host, family: `IPv${isIP(host)}`, port: portOf(fd) } };
}

function isPath(value) {
  return typeof value === 'string' && Number.isNaN(Number(value));
}

/** A numeric address, as mpserve gets it. */
function hostOf(host) {
  if (typeof host !== 'string') return '::';
  return isIP(host) ? host : '127.0.0.1';
}
