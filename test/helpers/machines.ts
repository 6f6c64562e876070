// Machines of a network that the test makes: a network namespace for each, joined by a bridge in one of their own. Nothing of
// it can reach this machine's network, nor be reached from there. Needs root.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

let networks = 0;

export class Machines implements Disposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'mpserve-machines-'));
  /** Short, as the name of an interface has 15 characters at most. */
  readonly #id = `mp${process.pid.toString(36)}${(networks++).toString(36)}`;
  readonly #names: string[] = [];

  /** The first one has the bridge, and 10.0.0.1; the others are 10.0.0.11, 10.0.0.12, … */
  static make(count: number): Machines {
    const machines = new Machines();
    try {
      const hub = machines.#add('0');
      ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', hub, 'addr', 'add', '10.0.0.1/24', 'dev', 'br0');
      ip('-n', hub, 'link', 'set', 'br0', 'up');
      for (let i = 1; i <= count; i++) {
        const name = machines.#add(String(i));
        ip('-n', hub, 'link', 'add', `m${i}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
        ip('-n', hub, 'link', 'set', `m${i}`, 'master', 'br0', 'up');
        ip('-n', name, 'addr', 'add', `${addressOf(i)}/24`, 'dev', 'eth0');
        ip('-n', name, 'link', 'set', 'eth0', 'up');
      }
      return machines;
    } catch (error) {
      machines[Symbol.dispose]();
      throw error;
    }
  }

  /** @returns a file that runs Node on this machine; 0 is the one with the bridge */
  node(machine: number): string {
    const file = path.join(this.folder, `node-${machine}`);
    const [command, ...args] = this.commandOn(machine, process.execPath);
    writeFileSync(file, `#!/bin/sh\nexec ${[command, ...args].join(' ')} "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  }

  /** The words of a command that runs `words` on this machine, in the same process. */
  commandOn(machine: number, ...words: readonly string[]): [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.#names[machine] as string, ...words];
  }

  /** No packet reaches it or leaves it any more, as where a machine has lost its power. */
  cut(machine: number): void {
    ip('-n', this.#names[0] as string, 'link', 'set', `m${machine}`, 'down');
  }

  /** End first what runs there. */
  [Symbol.dispose](): void {
    for (const name of this.#names) spawnSync('ip', ['netns', 'del', name]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #add(suffix: string): string {
    const name = `${this.#id}-${suffix}`;
    ip('netns', 'add', name);
    this.#names.push(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    return name;
  }
}

export function addressOf(machine: number): string {
  return `10.0.0.${10 + machine}`;
}

/** @param neededBy ends the sentence that says what is skipped */
export function canMakeMachines(neededBy: string): boolean {
  try {
    Machines.make(1)[Symbol.dispose]();
    execFileSync('ss', ['-V'], { stdio: 'pipe' });
    return true;
  } catch (error) {
    const why = String((error as Error).message)
      .trim()
      .split('\n')
      .at(-1);
    console.warn(`SKIPPED: ${neededBy} need root, ip and ss (iproute2), and network namespaces: ${why}`);
    return false;
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
