// A command in a real terminal, which is one of tmux: what is on its screen, keys, and its size.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { childrenOf } from './process-tree.ts';
import { root } from './server.ts';

export const hasTmux = spawnSync('tmux', ['-V']).status === 0;
if (!hasTmux) console.warn('skips the tests in a terminal, as there is no tmux; install the package tmux');

const bin = path.join(root, 'bin/mpserve.js');

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Node's own options, before the script. */
  readonly node?: readonly string[];
}

export class Terminal implements Disposable {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'mpserve-tmux-'));

  /** Runs `mpserve` with these arguments in a shell, which stays and says how it has ended. */
  constructor(args: readonly string[], { columns, rows, env = {}, node = [] }: TerminalOptions) {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const words = ['env', ...variables, process.execPath, ...node, bin, ...args].map(quoted);
    const script = `echo before; ${words.join(' ')}; echo "ended with $?"; exec sleep 100000`;
    this.#tmux('-f', '/dev/null', '-u', 'new-session', '-d', '-x', String(columns), '-y', String(rows), script);
  }

  /** The lines on the screen. @param styled with their colours, as SGR sequences */
  lines(styled = false): readonly string[] {
    return linesOf(this.#tmux('capture-pane', '-p', ...(styled ? ['-e'] : [])));
  }

  /** Waits until a line of the screen matches the pattern, and none matches the other one. @returns the lines */
  async shows(pattern: RegExp, without?: RegExp): Promise<readonly string[]> {
    let lines: readonly string[] = [];
    try {
      return await eventually(`the terminal to show ${pattern}`, async () => {
        // The test may be the server that the command asks.
        const { stdout } = await promisify(execFile)('tmux', this.#words('capture-pane', '-p'), { env: this.#env });
        lines = linesOf(stdout);
        return lines.some((line) => pattern.test(line)) && !lines.some((line) => without?.test(line)) && lines;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}; it shows\n${lines.join('\n')}`);
    }
  }

  /** Names as tmux has them: `q`, `C-c`, `PageDown`. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Whether the terminal is as a program finds it: its own screen, a cursor, lines that wrap. */
  get isRestored(): boolean {
    return this.#tmux('display-message', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}').trim() === '0 1 1';
  }

  /** Of the command. */
  get pid(): number {
    const [pid] = childrenOf(Number(this.#tmux('display-message', '-p', '#{pane_pid}')));
    if (pid === undefined) throw new Error('the command has ended');
    return pid;
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
    rmSync(this.#folder, { recursive: true });
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', this.#words(...args), { encoding: 'utf8', env: this.#env });
  }

  #words(...args: readonly string[]): string[] {
    return ['-S', path.join(this.#folder, 'tmux'), ...args];
  }

  get #env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.#folder,
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      TERM: 'xterm-256color',
    };
  }
}

const linesOf = (screen: string): string[] => screen.split('\n').slice(0, -1);

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
