// A connection to a Redis server, by `@redis/client`. It is made once: `link` makes another one when it has failed.
import { createClient, ErrorReply, RESP_TYPES } from '@redis/client';
import type { RedisTarget } from '../../config/redis-url.js';
import { StoreFailure } from './failure.js';

export type Command = readonly (string | Buffer)[];

export interface Connection {
  /** Those of the same turn follow one another. Rejects with a StoreFailure. */
  send(command: Command): Promise<unknown>;
  /** What has not been answered rejects. */
  close(): void;
}

/** For the TCP or TLS connection, and again for what is said first on it (milliseconds). */
const connectTimeoutMs = 1000;

/** Text is as bytes, as bodies are none. */
const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer };

/** @param onGone called once, when the connection cannot be used any more. Rejects with a StoreFailure. */
export async function connect(target: RedisTarget, onGone: (failure: StoreFailure) => void): Promise<Connection> {
  const { address, username, password, database } = target;
  const common = { connectTimeout: connectTimeoutMs, reconnectStrategy: false } as const;
  const client = createClient({
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // Of a TLS server the certificate is checked.
    socket: 'path' in address ? { ...common, path: address.path } : withTls({ ...common, ...address }),
  });
  let isGone = false;
  let isReady = false;
  const close = () => {
    isGone = true;
    try {
      client.destroy();
    } catch {} // it has closed already
  };
  let first: StoreFailure | undefined;
  client.on('error', (error: Error) => {
    const failure = failureOf(error, isReady);
    first ??= failure;
    if (isGone) return;
    close();
    if (isReady) onGone(failure);
  });
  // A worker that drains does not wait for it.
  client.unref();
  let late: NodeJS.Timeout | undefined;
  client.once('connect', () => {
    late = setTimeout(() => {
      first ??= new StoreFailure('timeout', `no answer within ${connectTimeoutMs} ms`);
      close();
    }, connectTimeoutMs).unref();
  });
  try {
    await client.connect();
    isReady = true;
  } catch (error) {
    isGone = true;
    throw first ?? failureOf(error, false);
  } finally {
    clearTimeout(late);
  }
  if (first) throw first;
  return {
    send: (command) =>
      client.sendCommand(command as (string | Buffer)[], { typeMapping }).catch((error: unknown) => {
        throw failureOf(error, true);
      }),
    close,
  };
}

function withTls<T extends { readonly host: string; readonly tls: boolean }>(options: T) {
  const { tls, ...rest } = options;
  return tls ? { ...rest, tls: true as const } : rest;
}

/** Of the socket: the system has given it a code. */
const ofSystem = /^(?:E[A-Z]+|ERR_|CERT_|DEPTH_|SELF_SIGNED|UNABLE_)/;

const ofConnection = new Set([
  'ClientClosedError',
  'ClientOfflineError',
  'ConnectionTimeoutError',
  'DisconnectsClientError',
  'SocketClosedUnexpectedlyError',
  'SocketTimeoutError',
]);

function failureOf(error: unknown, isReady: boolean): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const { message = 'unknown', code = '' } = error as Error & { readonly code?: string };
  if (error instanceof ErrorReply) {
    // A key of ours that has another type.
    return new StoreFailure(message.startsWith('WRONGTYPE') ? 'garbage' : 'refused', message);
  }
  if (ofConnection.has(nameOf(error)) || ofSystem.test(String(code)) || error instanceof AggregateError)
    return new StoreFailure('connection', message || String(code) || 'the connection has failed');
  // The rest is thrown by what reads the protocol.
  return new StoreFailure('garbage', isReady ? `no protocol of Redis: ${message}` : message);
}

/** The errors of the client have the name `Error`. */
function nameOf(error: unknown): string {
  return (error as object | undefined)?.constructor?.name ?? '';
}
