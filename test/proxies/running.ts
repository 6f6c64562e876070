// A proxy as a child process: its configuration is the guide's, with other ports and paths. Ends it by its pid.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { descriptorOf } from '../../src/os/node-socket.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { findProgram, type Program } from '../helpers/programs.ts';
import { connect } from '../helpers/wire.ts';

/** @param changes what is replaced in `text`, all of which must be there */
export function withChanges(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    assert(changed.includes(from), `the configuration of the guide has no '${from}'`);
    return changed.replaceAll(from, to);
  }, text);
}

const openssl = findProgram(['openssl'], 'version', 'the tests with proxies that end TLS');

/** A certificate, and its key, in `folder`. */
export function writeCertificate(folder: string): void {
  assert(openssl);
  const args = 'req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=app.example -keyout app.key -out app.crt';
  execFileSync(openssl.command, args.split(' '), { cwd: folder, env: openssl.env, stdio: 'ignore' });
}

/** What a proxy listens on: a port of 127.0.0.1 that no other process can take, as descriptor 3 of the proxy. */
export interface Listening {
  readonly port: number;
  /** Undefined for a proxy that takes no descriptor: then another process may take the port before it. */
  readonly fd?: number;
  close(): void;
}

export async function listen(): Promise<Listening> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return { port, fd: descriptorOf(server as unknown as net.Socket) as number, close: () => server.close() };
}

export async function freePort(): Promise<Listening> {
  const { port, close } = await listen();
  close();
  return { port, close: () => {} };
}

export class Running implements AsyncDisposable {
  private printed = '';

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.printed += text;
    });
  }

  /** @param listening closed here */
  static async start(
    { command, env }: Program,
    args: readonly string[],
    { port, fd, close }: Listening,
    variables: NodeJS.ProcessEnv = {},
  ): Promise<Running> {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])],
      env: { ...env, ...variables },
    });
    close();
    const running = new Running(child, `http://127.0.0.1:${port}`);
    try {
      await eventually(`${path.basename(command)} to answer`, async () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${running.printed}`);
        return await answers(running.url);
      });
      return running;
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Lines of standard error. */
  get lines(): readonly string[] {
    return this.printed.split('\n').filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await within('the proxy to end', exit);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    using wire = await connect(url);
    return (await wire.ask('GET /')).status === 200;
  } catch {
    return false; // nothing listens there yet, or what does has ended
  }
}
