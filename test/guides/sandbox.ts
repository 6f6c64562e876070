// A machine for one guide: namespaces with a network of its own, in which every port is free, and with directories of the
// system that can be written and are forgotten at the end. mpserve and the programs below `.cache` are installed in it. When
// its first process ends, the kernel kills all others. Needs root on Linux.
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually, within } from '../helpers/eventually.ts';
import { childrenOf } from '../helpers/process-tree.ts';
import { fixture, root } from '../helpers/server.ts';

/** Below each of them, what the machine has, what is in `.cache`, and above both what the guide writes. */
const writable: readonly string[] = ['etc', 'usr', 'var', 'srv', 'root'];
/** The directory of the app, in which commands run. */
const app = '/srv/app';

const namespaces: readonly string[] = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Whether this machine lets this process make one. */
export function canSandbox(): boolean {
  const overlay = 'mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc';
  const script = `ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/upper /run/work && ${overlay}`;
  return process.getuid?.() === 0 && spawnSync('unshare', [...namespaces, 'sh', '-c', script]).status === 0;
}

export interface Outcome {
  readonly code: number | null;
  /** Standard output and standard error. */
  readonly output: string;
}

export class Sandbox implements AsyncDisposable {
  private constructor(
    private readonly unshare: ChildProcess,
    /** Of its first process. */
    private readonly pid: number,
    private readonly folder: string,
  ) {}

  private count = 0;

  /** @throws with what was printed if it cannot be made */
  static async start(): Promise<Sandbox> {
    const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-guide-'));
    // The first process ends with its standard input, and so with this one. bash reaps what loses its parent.
    const script = `${setUp(folder)}\necho ready\nwhile read -r _; do :; done`;
    const unshare = spawn('unshare', [...namespaces, 'bash', '--norc', '-eu', '-c', script], { env: environment() });
    let printed = '';
    for (const stream of [unshare.stdout, unshare.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
    }
    unshare.on('error', (error) => {
      printed += error.message;
    });
    const isOver = (): boolean => unshare.exitCode !== null || unshare.signalCode !== null || unshare.pid === undefined;
    await eventually('the namespaces', () => printed.includes('ready\n') || isOver());
    const [pid] = unshare.pid === undefined ? [] : childrenOf(unshare.pid);
    if (pid === undefined) {
      rmSync(folder, { recursive: true });
      throw new Error(printed.trim());
    }
    return new Sandbox(unshare, pid, folder);
  }

  async write(file: string, text: string): Promise<void> {
    const child = this.enter(`mkdir -p "$(dirname '${file}')"; cat > '${file}'`, ['pipe', 'ignore', 'inherit']);
    child.stdin?.end(text);
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${file} cannot be written`);
  }

  /** Runs a command to its end; what it has left running goes on. */
  async run(command: string): Promise<Outcome> {
    const { child, printed } = this.begin(command);
    const [code] = await within(`the end of ${command}`, once(child, 'exit')).finally(() => child.kill('SIGKILL'));
    return { code, output: printed() };
  }

  /** Runs a command that goes on. @returns what it has printed so far, and whether it has ended */
  serve(command: string): () => { readonly output: string; readonly isOver: boolean } {
    const { child, printed } = this.begin(command);
    return () => ({ output: printed(), isOver: child.exitCode !== null || child.signalCode !== null });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.unshare, 'exit');
    process.kill(this.pid, 'SIGKILL');
    await within('the namespaces to end', exit);
    rmSync(this.folder, { recursive: true });
  }

  /** It prints into a file: a pipe would stay open for as long as a process that it has left running. */
  private begin(command: string): { readonly child: ChildProcess; readonly printed: () => string } {
    const file = path.join(this.folder, `output-${++this.count}`);
    const output = openSync(file, 'a');
    const child = this.enter(command, ['ignore', output, output]);
    closeSync(output);
    return { child, printed: () => readFileSync(file, 'utf8') };
  }

  private enter(command: string, stdio: StdioOptions): ChildProcess {
    const into = ['--target', String(this.pid), '--net', '--mount', '--pid'];
    const script = `cd ${app}\n${command}`;
    return spawn('nsenter', [...into, 'bash', '--norc', '-eu', '-o', 'pipefail', '-c', script], {
      stdio,
      env: environment(),
    });
  }
}

// Nothing of the person who runs the tests, such as an HTTP proxy or options of mpserve.
function environment(): NodeJS.ProcessEnv {
  const folders = [
    path.dirname(process.execPath),
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
  ];
  return { PATH: folders.join(':'), HOME: '/root', LANG: 'C.UTF-8', TERM: 'dumb' };
}

// The overlays are on a file system of their own, which ends with the namespaces.
function setUp(folder: string): string {
  const scratch = path.join(folder, 'scratch');
  const cache = path.join(root, '.cache');
  const programs = existsSync(cache) ? readdirSync(cache).map((name) => path.join(cache, name)) : [];
  const overlays = writable.map((name) => {
    const lower = [`/${name}`, ...programs.map((one) => path.join(one, name)).filter((one) => existsSync(one))];
    const layers = `lowerdir=${lower.join(':')},upperdir=${scratch}/${name}/upper,workdir=${scratch}/${name}/work`;
    return `mkdir -p ${scratch}/${name}/upper ${scratch}/${name}/work\nmount -t overlay overlay -o ${layers} /${name}`;
  });
  return `ip link set lo up
mkdir ${scratch}
mount -t tmpfs -o mode=755 tmpfs ${scratch}
${overlays.join('\n')}
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/app ${app} /var/lib/nginx /var/log/nginx /var/log/app
ln -sf ${path.join(root, 'bin/mpserve.js')} /usr/bin/mpserve
cp ${fixture('guide.cjs')} ${app}/server.js
ln -s ${path.join(root, 'node_modules')} ${app}/node_modules`;
}
