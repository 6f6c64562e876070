// A request that makes the event loop fail that handles it: of the trials `hang` and `kill-thread`.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { type Fault, faultHeader, faultHookFile, faultText, secretVariable } from './fault-secret.js';
import type { ConfigSettings } from './server.js';
import type { TrialContext } from './trial.js';

/** Only the server's workers know it. */
const secret = randomBytes(16).toString('hex');

/** Environment variables that a trial with a fault adds. */
export const faultEnv = { [secretVariable]: secret };

/** A setting that a trial with a fault adds. */
export const faultSettings = ({ nodeArg = [] }: ConfigSettings): ConfigSettings => ({
  nodeArg: [...(nodeArg as readonly string[]), `--require=${faultHookFile}`],
});

export interface FaultRequest {
  /** The client's port. */
  readonly port: number;
  /** Resolves to true when the connection closes or has a response, because the worker or thread has ended. */
  readonly over: Promise<true>;
}

/** Sends the request. It is one that a server must not run again. */
export function sendFault({ server, workload, variant }: TrialContext, fault: Fault): Promise<FaultRequest> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.port });
    const over = new Promise<true>((resolve) => {
      socket.once('close', () => resolve(true));
      socket.once('data', () => socket.destroy());
    });
    socket.on('error', reject); // has no effect once the connection is open
    socket.on('connect', () => {
      const head = `POST ${workload.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n`;
      socket.write(`${head}${faultHeader}: ${faultText(secret, fault, variant.unit === 'request')}\r\n\r\n`);
      resolve({ port: socket.localPort as number, over });
    });
  });
}

/** What a trial cannot avoid losing by the end of a thread. */
export function lostWithThread({ server, variant, retriesSafe }: TrialContext): {
  readonly brokenConnections?: number;
  readonly failedRequests?: number;
} {
  const ended = server.logLines.find(({ event }) => event === 'thread-lost');
  if (!ended) return {};
  if (variant.unit === 'connection') return { brokenConnections: Math.max(0, Number(ended.connections) - 1) };
  const ran = server.logLines.filter(({ event, tid }) => event === 'request-lost' && tid === ended.tid);
  const others = ran.filter(({ method }) => !retriesSafe || !['GET', 'HEAD'].includes(String(method)));
  return { failedRequests: Math.max(0, others.length - 1) };
}
