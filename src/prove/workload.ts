// What all clients of `prove` have in common: their types and numbers, how slow the slow ones are, and what a failure is.
import type { ClientType, Endpoint } from './messages.js';

/** Clients of the types that have no option. */
const otherClients = { 'one request each': 2, 'slow head': 2, 'slow body': 2 } as const;
/** How long a slow head and a slow body take to send (milliseconds). */
export const slowHeadMs = 1500;
export const slowBodyMs = 2000;
/** With --unit request the process answers so in place of a thread that died, or was blocked. */
export const requestFailures: readonly number[] = [502, 504];
/** A balancer answers so in place of a server that it could not ask. */
export const balancerFailures: readonly number[] = [502, 503, 504];

/** @param hasUpload the app takes the body of a POST request */
export function clientCounts(keptAlive: number, hasUpload: boolean): Readonly<Record<ClientType, number>> {
  return { 'kept-alive': keptAlive, ...otherClients, ...(hasUpload ? {} : { 'slow body': 0 }) };
}

/** A server that the prover has started. */
export function loopback(port: number): Endpoint {
  return { host: '127.0.0.1', port, isTls: false, authority: 'localhost' };
}
