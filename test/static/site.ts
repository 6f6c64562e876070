// A directory of files and a server of it: mpserve, or what STATIC_TARGET names of bench/baselines/static.cjs, to see what
// other servers make of the same tests.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Line, root, type ServerOptions, startServer } from '../helpers/server.ts';
import { connect, type Response } from '../helpers/wire.ts';

const library = process.env.STATIC_TARGET;

/** A time long ago: a file that has just changed is treated with more care. */
export const longAgo = new Date('2024-03-05T06:07:08Z');

export class Folder implements Disposable {
  /** The files are below this. */
  readonly root: string;
  readonly #parent = mkdtempSync(path.join(tmpdir(), 'mpserve-static-'));

  constructor(files: Readonly<Record<string, string | Buffer>> = {}) {
    this.root = path.join(this.#parent, 'public');
    mkdirSync(this.root);
    for (const [name, content] of Object.entries(files)) this.put(name, content);
  }

  /** @param name in the root; `../x` is beside it */
  path(name: string): string {
    return path.join(this.root, name);
  }

  put(name: string, content: string | Buffer, modified = longAgo): void {
    const file = this.path(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    utimesSync(file, modified, modified);
  }

  [Symbol.dispose](): void {
    rmSync(this.#parent, { recursive: true, force: true });
  }
}

export interface FileServer {
  readonly url: string;
  /** What the log says of errors. */
  errors(): readonly Line[];
  /** Its processes. */
  workers(): readonly number[];
  stop(): Promise<void>;
}

export async function serveFolder(folder: Folder, options: ServerOptions = {}): Promise<FileServer> {
  if (library !== undefined) return serveBy(library, folder.root);
  const server = await startServer({
    app: `${folder.root}/`,
    ...options,
    args: [...(options.model ? [] : ['--workers', '1']), ...(options.args ?? [])],
  });
  return {
    url: server.url,
    errors: () => server.lines.filter((line) => line.event === 'request-failed'),
    workers: () => server.workers(),
    stop: () => server.stop(),
  };
}

/** One request on a connection of its own. */
export async function ask(
  url: string,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  using client = await connect(url);
  return await client.ask(line, headers);
}

async function serveBy(name: string, dir: string): Promise<FileServer> {
  const script = path.join(root, 'bench/baselines/static.cjs');
  const child: ChildProcess = spawn(process.execPath, [script, name, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout as never }), 'line')) as [string];
  return {
    url: `http://127.0.0.1:${JSON.parse(line).port}`,
    errors: () => [],
    workers: () => [child.pid ?? 0],
    async stop() {
      if (child.exitCode !== null) return; // it has crashed
      child.kill();
      await once(child, 'exit');
    },
  };
}
