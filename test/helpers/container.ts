// Runs an image as a container engine does, where none is at hand: its ENTRYPOINT and command as process 1 in new namespaces,
// with the image as a read-only root, no capabilities, and limits by cgroups. It reaches only the container's own loopback.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually, within } from './eventually.ts';
import type { Image } from './image.ts';
import { childrenOf } from './process-tree.ts';
import { findProgram } from './programs.ts';
import { root, Server } from './server.ts';

const cgroupRoot = '/sys/fs/cgroup';
const controllers = ['memory', 'cpu'] as const;
const periodUs = 100_000;

const neededBy = 'the tests of containers';
const programs = { unshare: '--version', nsenter: '--version', setpriv: '--version', ip: '-V' };

export const canContain =
  process.getuid?.() === 0 &&
  controllers.every((name) => existsSync(path.join(cgroupRoot, name, 'cgroup.procs'))) &&
  Object.entries(programs).every(([name, versionFlag]) => findProgram([name], versionFlag, neededBy));
if (!canContain) console.warn(`SKIPPED: ${neededBy} need root, the controllers of cgroup v1, util-linux and iproute2`);

export interface Limits {
  readonly cores?: number;
  /** Bytes. */
  readonly memory?: number;
}

export interface ContainerOptions extends Limits {
  readonly image: Image;
  /** Default: CMD of the image. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: USER of the image. */
  readonly user?: string;
  /** Contents by path: what is mounted, such as secrets. */
  readonly files?: Readonly<Record<string, string>>;
  /** Default: those of the image. */
  readonly ports?: readonly number[];
}

/** Starts a container. Resolves when its server is ready. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const container = new Container(options);
  try {
    await container.server.waitFor('ready', ({ event }) => event === 'ready');
    await container.openPorts();
  } catch (error) {
    await container.kill();
    throw error;
  }
  return container;
}

let count = 0;

export class Container implements AsyncDisposable {
  readonly #image: Image;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'mpserve-container-'));
  readonly #group = `mpserve-test-${process.pid}-${count++}`;
  readonly #options: ContainerOptions;
  readonly #forwarders: ChildProcess[] = [];
  readonly server: Server;

  constructor(options: ContainerOptions) {
    const { image, user = image.config.user, env = {}, args = image.config.cmd } = options;
    this.#image = image;
    this.#options = options;
    for (const folder of this.#groups) mkdirSync(folder);
    this.setLimits(options);
    const mount = path.join(this.#folder, 'root');
    mkdirSync(mount);
    const files = path.join(this.#folder, 'files');
    mkdirSync(files);
    for (const [name, text] of Object.entries(options.files ?? {})) {
      mkdirSync(path.join(files, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(files, name), text, { mode: 0o440 });
    }
    const mark = `MPSERVE_TEST_MARK=${this.#group}`;
    const variables = { ...image.config.env, ...env, PATH: '/usr/bin:/bin', HOME: '/tmp' };
    const [uid = '0', gid = '0'] = user.split(':');
    const enter = this.#groups.map((folder) => `echo $$ >${folder}/cgroup.procs`).join(' && ');
    const words = [
      ...['env', '-i', '-C', image.config.workdir, mark, ...Object.entries(variables).map((one) => one.join('='))],
      ...[...image.config.entrypoint, ...args],
    ];
    const child = spawn(
      'sh',
      [
        ...['-c', `${enter} && exec unshare --pid --fork --mount --net --uts --ipc --cgroup sh "$@"`, 'sh'],
        ...[path.join(root, 'test/helpers/container.sh'), image.folder, mount, uid, gid, ...words],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, cgroups: controllers.join(' '), files } },
    );
    this.server = new Server(child, mark);
  }

  get #groups(): readonly string[] {
    return controllers.map((name) => path.join(cgroupRoot, name, this.#group));
  }

  /** That process 1 of the container has here. */
  get pid(): number {
    const [pid] = childrenOf(this.server.pid);
    assert(pid !== undefined, 'the container has ended');
    return pid;
  }

  /** As `docker update` and the kubelet set them. */
  setLimits({ cores, memory }: Limits): void {
    const [memoryGroup = '', cpuGroup = ''] = this.#groups;
    if (memory !== undefined) writeFileSync(path.join(memoryGroup, 'memory.limit_in_bytes'), String(memory));
    if (cores === undefined) return;
    writeFileSync(path.join(cpuGroup, 'cpu.cfs_period_us'), String(periodUs));
    writeFileSync(path.join(cpuGroup, 'cpu.cfs_quota_us'), String(cores * periodUs));
  }

  /** Of a port of the container, as `unix:/path`. */
  url(port: number): string {
    return `unix:${path.join(this.#folder, String(port))}`;
  }

  async openPorts(): Promise<void> {
    const script = path.join(root, 'test/fixtures/into-container.cjs');
    await Promise.all(
      (this.#options.ports ?? this.#image.config.ports).map(async (port) => {
        const args = [
          '-t',
          String(this.pid),
          '-n',
          process.execPath,
          script,
          path.join(this.#folder, String(port)),
          String(port),
        ];
        const forwarder = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
        this.#forwarders.push(forwarder);
        await within(`port ${port} of the container`, once(forwarder.stdout, 'data'));
      }),
    );
  }

  /** Runs a command in the container, as its health check is run. Resolves to its exit code and output. */
  async exec(command: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
    const { user, env, workdir } = this.#image.config;
    const [uid, gid] = (this.#options.user ?? user).split(':');
    const variables = Object.entries({ ...env, PATH: '/usr/bin:/bin' }).map((one) => one.join('='));
    const child = spawn(
      'nsenter',
      [
        ...['-t', String(this.pid), '-a', 'setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
        ...['env', '-i', '-C', workdir, ...variables, ...command],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    const [code] = await within(command.join(' '), once(child, 'close'));
    return { code, output };
  }

  /** Children of process 1 that have ended and whose status nothing has taken. */
  zombies(): readonly number[] {
    return childrenOf(this.pid).filter(isZombie);
  }

  /** Its workers. */
  workers(): readonly number[] {
    return childrenOf(this.pid).filter((pid) => textOf(`/proc/${pid}/cmdline`).includes('process-main'));
  }

  signal(signal: NodeJS.Signals = this.#image.config.stopSignal): void {
    process.kill(this.pid, signal);
  }

  /** Ends it as an engine does, unless it has ended. Rejects unless that is in order. */
  async stop(): Promise<void> {
    try {
      if (this.server.child.exitCode !== null) return;
      this.signal();
      const { code } = await within('the container to stop', this.server.exit);
      assert.equal(code, 0, `process 1 exited with ${code}`);
    } finally {
      await this.kill();
    }
  }

  async kill(): Promise<void> {
    for (const forwarder of this.#forwarders) forwarder.stdin?.end();
    // With process 1 all others of the container end.
    if (this.server.child.exitCode === null)
      for (const pid of childrenOf(this.server.pid)) process.kill(pid, 'SIGKILL');
    await this.server.kill();
    for (const folder of this.#groups) {
      await eventually(`${folder} to be empty`, () => textOf(path.join(folder, 'cgroup.procs')) === '');
      rmdirSync(folder);
    }
    rmSync(this.#folder, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

const isZombie = (pid: number): boolean => /^State:\s+Z/m.test(textOf(`/proc/${pid}/status`));

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
