// Makes the app's own http.Server, which accepts nothing, look to the app as if it had accepted the connections of the
// pipeline: its settings apply, also those that the app makes later, and its methods see the connections. Limits that the
// user has set for mpserve override the app's.
import { createServer, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Limits } from '../config/config.js';
import type { AdoptingServer } from './adopting-server.js';
import { responseClass } from './response.js';

type ServerLimit =
  | 'headerTimeout'
  | 'requestTimeout'
  | 'keepAliveTimeout'
  | 'maxHeaderSize'
  | 'maxRequestsPerConnection';

/** The limits that are also properties of an http.Server. */
const limitProperties: readonly (readonly [ServerLimit, string])[] = [
  ['headerTimeout', 'headersTimeout'],
  ['requestTimeout', 'requestTimeout'],
  ['keepAliveTimeout', 'keepAliveTimeout'],
  ['maxHeaderSize', 'maxHeaderSize'],
  ['maxRequestsPerConnection', 'maxRequestsPerSocket'],
];

/** Properties of an http.Server for which mpserve has no option. */
const otherProperties = [
  'timeout',
  'httpAllowHalfOpen',
  'maxHeadersCount',
  'insecureHTTPParser',
  'requireHostHeader',
  'joinDuplicateHeaders',
  'rejectNonStandardBodyWrites',
  'keepAliveTimeoutBuffer',
  'httpValidation',
  'shouldUpgradeCallback',
];

/** The names of symbols under which an http.Server has options of `createServer()` that are no properties. */
const symbolNames = ['IncomingMessage', 'kUniqueHeaders', 'OptimizeEmptyRequestsOption'];
const responseSymbolName = 'ServerResponse';

type Properties = Record<string | symbol, unknown>;
/** How a net.Server counts its connections; it emits 'close' when it is closed and none is left. */
type Counting = { _connections: number; _emitCloseIfDrained(): void };

/** What an app has set on its own server, as plain data. */
export interface ServerSettings {
  /** By the names of `Limits`. */
  readonly limits: Readonly<Partial<Pick<Limits, ServerLimit>>>;
  /** By the names of properties of an http.Server. */
  readonly properties: Readonly<Record<string, number | boolean>>;
}

export function serverSettings(server: Server): ServerSettings {
  const app = server as unknown as Properties;
  const properties = otherProperties.flatMap((name) => {
    const value = app[name];
    return typeof value === 'number' || typeof value === 'boolean' ? [[name, value] as const] : [];
  });
  return { limits: changedLimits([], server), properties: Object.fromEntries(properties) };
}

/** @returns `limits`, with those that the app has changed on `server` and that are not `given` by the user */
export function appLimits(limits: Limits, given: readonly (keyof Limits)[], server: Server): Limits {
  return { ...limits, ...changedLimits(given, server) };
}

/** Those that the app has changed on `server`, and that are not `given` by the user. */
function changedLimits(given: readonly (keyof Limits)[], server: Server): ServerSettings['limits'] {
  const [properties, defaults] = [server, createServer()] as unknown as Properties[];
  const changed = limitProperties.flatMap(([key, name]) => {
    const value = properties?.[name];
    if (given.includes(key) || value === defaults?.[name] || typeof value !== 'number' || !(value >= 0)) return [];
    // Node accepts any value in the property of a server, and throws for the same in its options.
    return [[key, Math.min(Math.trunc(value), Number.MAX_SAFE_INTEGER)] as const];
  });
  return Object.fromEntries(changed);
}

/** Lets `server` read its settings from the app's server, whenever Node needs them. @param own those that it keeps */
export function followSettings(
  server: AdoptingServer,
  given: readonly (keyof Limits)[],
  appServer: Server,
  own: readonly string[],
): void {
  const app = appServer as unknown as Properties;
  const follow = (name: string | symbol, get: () => unknown) => Object.defineProperty(server, name, { get });
  for (const name of otherProperties) if (name in app && !own.includes(name)) follow(name, () => app[name]);
  for (const symbol of Object.getOwnPropertySymbols(app)) {
    const { description = '' } = symbol;
    if (symbolNames.includes(description)) follow(symbol, () => app[symbol]);
    if (description !== responseSymbolName || app[symbol] === ServerResponse) continue;
    const Response = responseClass(app[symbol] as typeof ServerResponse);
    follow(symbol, () => Response);
  }
  for (const [key, name] of limitProperties) {
    if (given.includes(key)) continue;
    const atStart = app[name];
    const limit = (server as unknown as Properties)[name];
    follow(name, () => (app[name] === atStart ? limit : app[name]));
  }
}

/** Lets the app's server close the connections of `server`. */
export function lendMethods(server: AdoptingServer, appServer: Server): void {
  appServer.closeIdleConnections = () => server.closeIdleConnections();
  appServer.closeAllConnections = () => server.closeAllConnections();
}

/**
 * Counts the connections for `getConnections()` of the app's server, whose `close()` then waits until those from before
 * it have ended.
 * @returns a function to call with each new connection
 */
export function countConnections(appServer: Server): (socket: Socket) => void {
  const counting = appServer as unknown as Counting;
  // A server that is exported never listens, so it cannot be closed.
  const isCaptured = appServer.listening;
  const isClosed = () => isCaptured && !appServer.listening;
  return (socket) => {
    if (isClosed()) return;
    counting._connections++;
    socket.once('close', () => {
      counting._connections--;
      if (isClosed()) counting._emitCloseIfDrained();
    });
  };
}
