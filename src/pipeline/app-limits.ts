// What the app has set on its own server counts where the user of mpserve has set nothing: an app that has chosen
// its keep-alive timeout for the proxy in front of it runs unmodified.
import { createServer, type Server } from 'node:http';
import type { Limits } from '../config/config.js';

/** What Node calls the limits that a server can carry. */
const names: readonly (readonly [keyof Limits, string])[] = [
  ['headerTimeout', 'headersTimeout'],
  ['requestTimeout', 'requestTimeout'],
  ['keepAliveTimeout', 'keepAliveTimeout'],
  ['maxHeaderSize', 'maxHeaderSize'],
  ['maxRequestsPerConnection', 'maxRequestsPerSocket'],
];

/** `limits` with those that are not `given` as `server` has them, if it has them other than a new server. */
export function appLimits(limits: Limits, given: readonly (keyof Limits)[], server: Server): Limits {
  const [its, untouched] = [server, createServer()] as unknown as Record<string, number | undefined>[];
  const changed = names.flatMap(([key, name]) => {
    const value = its?.[name];
    return given.includes(key) || value === untouched?.[name] ? [] : [[key, value ?? limits[key]] as const];
  });
  return { ...limits, ...Object.fromEntries(changed) };
}
