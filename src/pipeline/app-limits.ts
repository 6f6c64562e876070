// Takes over the limits that the app has set on its own http.Server, unless the user has set them for mpserve: so an
// app that sets, say, its keep-alive timeout to suit its proxy needs no change.
import { createServer, type Server } from 'node:http';
import type { Limits } from '../config/config.js';

/** The limits that are also properties of an http.Server. */
const serverProperties: readonly (readonly [keyof Limits, string])[] = [
  ['headerTimeout', 'headersTimeout'],
  ['requestTimeout', 'requestTimeout'],
  ['keepAliveTimeout', 'keepAliveTimeout'],
  ['maxHeaderSize', 'maxHeaderSize'],
  ['maxRequestsPerConnection', 'maxRequestsPerSocket'],
];

/** @returns `limits`, with those that the app has changed on `server` and that are not `given` by the user */
export function appLimits(limits: Limits, given: readonly (keyof Limits)[], server: Server): Limits {
  const [properties, defaults] = [server, createServer()] as unknown as Record<string, number | undefined>[];
  const changed = serverProperties.flatMap(([key, name]) => {
    const value = properties?.[name];
    return given.includes(key) || value === defaults?.[name] ? [] : [[key, value ?? limits[key]] as const];
  });
  return { ...limits, ...Object.fromEntries(changed) };
}
