// A Redis server (or Valkey) of a test, on a Unix socket in a directory of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createClient, RESP_TYPES } from '@redis/client';
import { eventually } from './eventually.ts';
import { findProgram } from './programs.ts';

const program = findProgram(['redis-server', 'valkey-server'], '--version', 'the tests of --cache-store redis://');

/** For `test.skipIf`. */
export const hasRedis = program !== undefined;

type Command = readonly (string | Buffer)[];

export class RedisServer implements AsyncDisposable {
  readonly socket: string;
  readonly #dir: string;
  #child: ChildProcess | undefined;

  private constructor(dir: string) {
    this.#dir = dir;
    this.socket = path.join(dir, 'redis.sock');
  }

  static async start(...args: string[]): Promise<RedisServer> {
    const server = new RedisServer(mkdtempSync(path.join(tmpdir(), 'mpserve-redis-')));
    await server.start(...args);
    return server;
  }

  /** For --cache-store. A busy machine takes its time. */
  url(parameters = 'prefix=test&timeout=1s', user = ''): string {
    return `redis+unix://${user === '' ? '' : `${user}@localhost`}${this.socket}?${parameters}`;
  }

  async start(...args: string[]): Promise<void> {
    rmSync(this.socket, { force: true }); // of one that was killed
    const { command: name, env } = program as NonNullable<typeof program>;
    const options = [
      '--port',
      '0',
      '--unixsocket',
      this.socket,
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      this.#dir,
    ];
    const child = spawn(name, [...options, ...args], { env, stdio: 'ignore' });
    this.#child = child;
    await eventually('the Redis server', () => existsSync(this.socket) || undefined);
  }

  /** Sends it commands, as an operator would. */
  do(...commands: readonly Command[]): Promise<unknown[]> {
    return this.#do(commands, {});
  }

  /** As `do`, for values that are no text. */
  bytes(...commands: readonly Command[]): Promise<unknown[]> {
    return this.#do(commands, { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } });
  }

  async #do(commands: readonly Command[], options: object): Promise<unknown[]> {
    const client = createClient({ socket: { path: this.socket, reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    try {
      const replies: unknown[] = [];
      for (const one of commands) replies.push(await client.sendCommand([...one], options));
      return replies;
    } finally {
      client.destroy();
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
