// Three machines with a server each, HAProxy in front of them with the configuration of docs/deploy/several-machines.md, and
// the clients of `mpserve prove --target`, which never retry. Needs root.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Results, TrialResult } from '../../src/prove/results.ts';
import { ask } from './control.ts';
import { eventually, progress, within } from './eventually.ts';
import { addressOf, Machines } from './machines.ts';
import { isAlive } from './process-tree.ts';
import type { Program } from './programs.ts';
import { root, type Server, startServer } from './server.ts';

export const machineNumbers: readonly number[] = [1, 2, 3];
/** It takes time, so that requests are in flight at any moment. */
const app = `module.exports = (req, res) => req.resume().once('end', () => setTimeout(() => res.end('a page'), 20));`;
const page = readFileSync(path.join(root, 'docs/deploy/several-machines.md'), 'utf8');
const [, configuration = ''] = /^```\n(global\n[\s\S]*?)^```$/m.exec(page) ?? [];

export class Fleet implements AsyncDisposable {
  readonly #machines = Machines.make(machineNumbers.length);
  readonly #servers: Server[] = [];
  readonly #clients: ChildProcess[] = [];
  #haproxy: ChildProcess | undefined;

  /** @param backend a further line of the backend */
  static async start(haproxy: Program, backend = ''): Promise<Fleet> {
    const fleet = new Fleet();
    try {
      writeFileSync(fleet.#file('app.cjs'), app);
      writeFileSync(fleet.#file('token'), 'a-token-that-only-operators-know\n', { mode: 0o600 });
      const starts = await Promise.allSettled(machineNumbers.map((machine) => fleet.startServer(machine)));
      for (const start of starts) if (start.status === 'rejected') throw start.reason;
      fleet.#startHaproxy(haproxy, backend);
      await eventually('HAProxy to listen', () => fleet.#sockets(0, '-l', 'sport', '=', '80') > 0);
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  server(machine: number): Server {
    return this.#servers[machine] as Server;
  }

  async startServer(machine: number): Promise<void> {
    const address = addressOf(machine);
    this.#servers[machine] = await startServer({
      node: this.#machines.node(machine),
      app: this.#file('app.cjs'),
      model: 'prefork',
      bind: [`${address}:8080`],
      args: [
        ...['--workers', '1', '--probation', '100ms', '--control', this.#file(`control${machine}`)],
        ...['--stop-delay', '2s', '--keep-alive-timeout', '75s', '--trust-proxy', '10.0.0.1'],
        ...['--admin', `${address}:9090`, '--admin-token-file', this.#file('token')],
        ...['--access-log', this.#file(`access${machine}`)],
      ],
    });
  }

  ask(machine: number, action: string, body?: object) {
    return ask(this.#file(`control${machine}`), 'POST', `/${action}`, body && JSON.stringify(body));
  }

  async status(machine: number): Promise<{ readonly pid: number; readonly model: string }> {
    return (await ask(this.#file(`control${machine}`), 'GET', '/status')).json;
  }

  /** Sends SIGTERM to the process that serves, also after an upgrade, and waits until all of them are gone. */
  async stopServer(machine: number): Promise<void> {
    process.kill((await this.status(machine)).pid, 'SIGTERM');
    const { code } = await within('the server to stop', this.server(machine).exit);
    assert.equal(code, 0);
    await this.server(machine).noneLeft();
  }

  /**
   * Ends all processes of the server of this machine while HAProxy has connections to it.
   * @returns how many these are
   */
  async kill(machine: number): Promise<number> {
    const server = this.server(machine);
    const pids = [server.pid, ...server.tree()];
    try {
      // None of them can answer any more when it is counted, and HAProxy can open no further one.
      const open = await eventually('connections to the machine', () => {
        for (const pid of pids) process.kill(pid, 'SIGSTOP');
        this.#haproxy?.kill('SIGSTOP');
        const count = this.#connectionsTo(machine);
        if (count > 0) return count;
        for (const pid of pids) process.kill(pid, 'SIGCONT');
        this.#haproxy?.kill('SIGCONT');
        return false;
      });
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      // While its other threads end, a process whose first one has ended still has its sockets.
      await eventually(
        'the server to be gone',
        () => !pids.some(isAlive) && this.#sockets(machine, '-l', 'sport', '=', '8080') === 0,
      );
      return open;
    } finally {
      this.#haproxy?.kill('SIGCONT');
    }
  }

  /** From now on no packet reaches this machine or leaves it. @returns how many connections HAProxy has to it */
  cut(machine: number): number {
    this.#machines.cut(machine);
    return this.#connectionsTo(machine);
  }

  /** How often HAProxy has said that the server of this machine is `UP`, or `DOWN`. */
  changes(machine: number, to: 'UP' | 'DOWN'): number {
    return this.#log().filter((line) => line.startsWith(`Server app/m${machine} is ${to}`)).length;
  }

  /** The requests that HAProxy has logged: without those that it could not answer on a connection that it had used before. */
  get logged(): number {
    return this.#log().filter((line) => line.includes(' web app/')).length;
  }

  /** The requests that the servers have answered, by their access logs. */
  get served(): number {
    const lines = machineNumbers.map((machine) => readFileSync(this.#file(`access${machine}`), 'utf8').split('\n'));
    return lines.reduce((sum, { length }) => sum + length - 1, 0);
  }

  async untilAsked(count: number): Promise<void> {
    await progress('requests', () => this.logged, count);
  }

  /** Starts the clients of `mpserve prove --target`. @returns a function that ends them, and has what they saw */
  startClients(): () => Promise<{ readonly code: number; readonly results: Results; readonly trial: TrialResult }> {
    const args = ['prove', '--target', 'http://127.0.0.1/', '--think', '1ms', '--json', '-'];
    const child = spawn(this.#machines.node(0), [path.join(root, 'bin/mpserve.js'), ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#clients.push(child);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const closed = once(child, 'close');
    return async () => {
      child.kill('SIGTERM');
      const [code] = await within('the clients to end', closed);
      const results: Results = JSON.parse(stdout);
      return { code, results, trial: results.proofs[0]?.trials[0] as TrialResult };
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#clients) child.kill('SIGKILL');
    if (this.#haproxy && this.#haproxy.exitCode === null) {
      this.#haproxy.kill('SIGKILL');
      await once(this.#haproxy, 'exit');
    }
    await Promise.all(this.#servers.map((server) => server.kill()));
    this.#machines[Symbol.dispose]();
  }

  #startHaproxy({ command, env }: Program, backend: string): void {
    const file = this.#file('haproxy.cfg');
    writeFileSync(
      file,
      configuration.replace(/^backend app\n/m, (line) => `${line}${backend}\n`),
    );
    const [onMachine, ...args] = this.#machines.commandOn(0, command, '-db', '-f', file);
    const log = openSync(this.#file('haproxy.log'), 'w'); // a pipe that is full would lose lines
    this.#haproxy = spawn(onMachine, args, { env, stdio: ['ignore', log, 'inherit'] });
    closeSync(log);
  }

  #connectionsTo(machine: number): number {
    return this.#sockets(0, 'state', 'established', 'dst', addressOf(machine), 'dport', '=', '8080');
  }

  /** How many TCP sockets a machine has, of those that ss(8) chooses; 0 is the machine of HAProxy. */
  #sockets(machine: number, ...chosen: readonly string[]): number {
    const [command, ...args] = this.#machines.commandOn(machine, 'ss', '-Htn', ...chosen);
    const listed = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return listed.split('\n').length - 1;
  }

  #log(): readonly string[] {
    return readFileSync(this.#file('haproxy.log'), 'utf8').split('\n').slice(0, -1);
  }

  #file(name: string): string {
    return path.join(this.#machines.folder, name);
  }
}

/** Waits until HAProxy has noticed what `change` does to the server of this machine. */
export async function noticed(fleet: Fleet, machine: number, to: 'UP' | 'DOWN', change: () => unknown): Promise<void> {
  const before = fleet.changes(machine, to);
  await change();
  await eventually(`HAProxy to find m${machine} ${to}`, () => fleet.changes(machine, to) > before);
}
