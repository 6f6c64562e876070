// Runs the built command line as users do: starts a server, waits for its ready line, keeps what it prints, and
// ends it by pid. Knows nothing of what is inside the server.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, patience, progress, within } from './eventually.js';
import { keepForFailure } from './failure-log.js';
import { childrenOf, descendants, marked } from './process-tree.js';

export const root = path.join(import.meta.dirname, '../..');
export const fixture = (name: string): string => path.join(root, 'test/fixtures/apps', name);
const bin = path.join(root, 'bin/mpserve.js');

export interface ServerOptions {
  /** A file, `file#export` or a directory; left out: the demo app. */
  readonly app?: string;
  readonly model?: string;
  readonly accept?: string;
  /** Default: one free TCP port of 127.0.0.1. */
  readonly bind?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** The Node binary. Default: the one that runs the tests. */
  readonly node?: string;
  /** In a process group of its own, as a shell starts a command. */
  readonly detached?: boolean;
  /** What that binary runs instead of `bin/mpserve.js`. */
  readonly script?: string;
}

/** A line of NDJSON: of the server's log, or printed by the app. */
export type Line = Readonly<Record<string, unknown>>;

/** Starts a server. Rejects, with what it printed, when it ends before its ready line or never prints one. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const server = launchServer(options);
  try {
    await server.waitFor('ready', (line) => line.event === 'ready');
  } catch (error) {
    await server.kill();
    throw new Error(`the server did not start: ${(error as Error).message}`);
  }
  return server;
}

/** Starts a server that says elsewhere when it is ready, or that should not become ready at all. */
export function launchServer(options: ServerOptions): Server {
  const mark = `MPSERVE_TEST_MARK=${process.pid}.${performance.now()}`;
  const child = spawn(options.node ?? process.execPath, [options.script ?? bin, ...serveArgs(options)], {
    cwd: options.cwd ?? root,
    env: marking(options.env, mark),
    detached: options.detached ?? false,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Server(child, mark);
}

export class Server implements AsyncDisposable {
  /** Everything on standard output that was JSON. */
  readonly lines: Line[] = [];
  /** Everything on standard output that was not. */
  readonly plain: string[] = [];
  stderr = '';
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(
    readonly child: ChildProcess,
    private readonly mark: string,
  ) {
    assert(child.stdout && child.stderr);
    createInterface({ input: child.stdout }).on('line', (text) => this.take(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // `close`, not `exit`: by then both pipes have been read to their end.
    this.exit = once(child, 'close').then(([code, signal]) => ({ code, signal }));
    keepForFailure({ printed: () => this.printed() });
  }

  get pid(): number {
    assert(this.child.pid !== undefined, 'the server could not be spawned');
    return this.child.pid;
  }

  get ready(): Line {
    return this.lines.find((line) => line.event === 'ready') ?? {};
  }

  get url(): string {
    return String(this.ready.url);
  }

  get urls(): string[] {
    return this.ready.urls as string[];
  }

  /** The processes that the supervisor has forked. */
  workers(): number[] {
    return childrenOf(this.pid).sort((a, b) => a - b);
  }

  /** All processes under the supervisor. */
  tree(): number[] {
    return descendants(this.pid);
  }

  /** The first line, printed already or still to come, of which `is` holds. */
  async waitFor(what: string, is: (line: Line) => boolean, ms = patience): Promise<Line> {
    let over = false;
    void this.exit.then(() => {
      over = true;
    });
    const gone = (): undefined => {
      if (over) throw new Error(`it ended while ${what} was waited for\n${this.printed()}`);
    };
    try {
      return await eventually(what, () => this.lines.find(is) ?? gone(), ms);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.printed()}`);
    }
  }

  /** Waits until the log has `count` lines of which `is` holds, however long that takes: it must not stand still. */
  async waitForMany(what: string, is: (line: Line) => boolean, count: number): Promise<void> {
    try {
      await progress(what, () => this.lines.filter(is).length, count);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.printed()}`);
    }
  }

  /**
   * Sends `signal`, waits for the end and asserts that it was an orderly one that left no process behind. What does
   * not end is killed, and the promise rejects.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    try {
      this.child.kill(signal);
      const { code } = await within('the server to stop', this.exit);
      assert.equal(code, 0, `the server exited with ${code}\n${this.printed()}`);
      await this.noneLeft();
    } finally {
      await this.kill();
    }
  }

  /** Resolves when no process that this server ever started is alive; rejects when one is, `ms` later. */
  async noneLeft(ms = patience): Promise<void> {
    await eventually(
      `the processes ${marked(this.mark)} of the server to end`,
      () => marked(this.mark).length === 0,
      ms,
    );
  }

  /** Ends whatever of it is still alive. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL'); // not by its pid, which may be another process's once it has exited
    for (const pid of marked(this.mark)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {} // it has ended by itself
    }
    await this.exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private take(text: string): void {
    try {
      this.lines.push(JSON.parse(text));
    } catch {
      this.plain.push(text);
    }
  }

  private printed(): string {
    const last = this.lines.slice(-15).map((line) => JSON.stringify(line));
    return [...last, ...this.plain.slice(-15), this.stderr.slice(-2000)].join('\n');
  }
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Its processes that stay alive after it; none should. */
  readonly left: readonly number[];
}

/** Runs a command that ends by itself. One that does not is killed, and so has no code. */
export async function runCli(
  args: readonly string[],
  options: ServerOptions & { ms?: number } = {},
): Promise<Finished> {
  const mark = `MPSERVE_TEST_MARK=${process.pid}.${performance.now()}`;
  const child = spawn(options.node ?? process.execPath, [options.script ?? bin, ...args], {
    cwd: options.cwd ?? root,
    env: marking(options.env, mark),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.ms ?? patience,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = await once(child, 'close');
  const gone = eventually('all its processes to end', () => marked(mark).length === 0);
  await gone.catch(() => {}); // whoever cares looks at `left`
  return { code, signal, stdout, stderr, left: marked(mark) };
}

function serveArgs({ app, model, accept, bind = ['127.0.0.1:0'], args = [] }: ServerOptions): string[] {
  const flags = { model, accept };
  const given = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
  return [...(app ? [app] : []), ...given, ...bind.flatMap((address) => ['--bind', address]), ...args];
}

// No option of the person who runs the tests may reach the server under test, nor vitest's own variables.
function marking(env: NodeJS.ProcessEnv = {}, mark: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(MPSERVE_|VITEST|NODE_OPTIONS$|NODE_ENV$)/.test(name));
  const [name = '', value] = mark.split('=');
  return { ...Object.fromEntries(own), ...env, [name]: value };
}
