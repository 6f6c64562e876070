// What the machine, the operator and the app can do wrong, each under load: a fault is there for a while and goes. Each
// trial prints a row of the table in docs/benchmarks.md: what was lost, what grew, and what the log said. It fails if
// the supervisor dies, a descriptor leaks, the server does not recover, or a request is lost that could have been served.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryOfTree, residentMemory } from '../src/os/process-tree.ts';
import { Clients } from '../test/helpers/clients.ts';
import { ask } from '../test/helpers/control.ts';
import { eventually } from '../test/helpers/eventually.ts';
import { fixture, root, type Server, type ServerOptions, startServer } from '../test/helpers/server.ts';
import { connect, connectOptions, Wire } from '../test/helpers/wire.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-chaos-'));
const control = path.join(folder, 'app.ctl');
const appFile = (name: string) => path.join(root, 'bench/apps', name);
const two = ['--workers', '2', '--threads', '2'];
const models = ['prefork', 'ppc', 'tpc', 'prethread', 'hybrid'] as const;

const rows: string[][] = [];
afterAll(() => {
  rmSync(folder, { recursive: true });
  const head = [
    'fault',
    'model',
    'answered',
    '5xx',
    'cut or lost',
    'retried',
    'slowest',
    'workers lost',
    'well again after',
    'supervisor',
    'all processes',
    'descriptors',
    'the log says',
  ];
  const lines = [head, head.map(() => '---'), ...rows];
  console.log(lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
});

interface Trial extends Omit<ServerOptions, 'model'> {
  /** Default: two of each. */
  readonly size?: readonly string[];
  readonly fault: string;
  readonly model: string;
  /** Requests that may be lost besides those of workers and threads that die. */
  readonly mayLose?: number;
  /** The usual clients: with one request per connection, and kept-alive. */
  readonly load?: readonly [oneEach: number, keptAlive: number];
  /** Clients beside the usual ones, while the fault is there. */
  readonly crowd?: number;
  /** Does something wrong, and undoes it. Settles when it is undone. */
  readonly inflict: (server: Server, before: Figures) => Promise<unknown>;
  /** What the log must say: events, each with a part of its message. */
  readonly says?: Readonly<Record<string, RegExp>>;
}

async function run(trial: Trial) {
  const { fault, model, mayLose = 0, load = [2, 4], crowd = 0, inflict, says = {}, size = two, ...options } = trial;
  const { args = [], app = appFile('chaos.cjs') } = options;
  const serverArgs = [...size, '--control', control, '--drain-quiet', '200ms', '--probation', '0', ...args];
  await using server = await startServer({ ...options, app, model, args: serverArgs });
  const warmingUp = clientsOf(server, load);
  await pause(1000); // what is loaded at the first requests is there then
  await Promise.all(warmingUp.map((some) => some.stop()));
  const before = await settled(server);
  const seen = server.lines.length;

  const usual = clientsOf(server, load);
  await pause(500);
  const others = new Clients(server.url, crowd, 'one-each', '/wait');
  await inflict(server, before);
  const crowded = await others.stop();
  const undone = performance.now();
  await eventually('the server to be well', () => isWell(server));
  const wellMs = performance.now() - undone;
  await pause(500);
  const counts = [crowded, ...(await Promise.all(usual.map((some) => some.stop())))];
  await eventually('the server to be well', () => isWell(server));
  const after = await settled(server, before);

  const sum = (of: (count: (typeof counts)[number]) => number) => counts.reduce((total, count) => total + of(count), 0);
  const failures = counts.flatMap((count) => count.failures);
  const refused = failures.filter((reason) => reason.startsWith('answered with 5'));
  const lost = failures.length - refused.length;
  const said = server.lines.slice(seen).filter(({ level, event }) => Number(level) >= 40 && event !== 'warning');
  const died = said.filter(({ event }) => event === 'worker-died' || event === 'thread-lost').length;
  const names = [...new Set(said.map(({ event }) => String(event)))];
  const times = (name: string) => said.filter(({ event }) => event === name);
  const row = [
    fault,
    model,
    sum(({ answered }) => answered).toLocaleString('en'),
    `${refused.length}`,
    `${lost}`,
    `${sum(({ reconnects }) => reconnects)}`,
    seconds(Math.max(...counts.map(({ slowestMs }) => slowestMs))),
    `${died}`,
    seconds(wellMs),
    `${mib(before.supervisor)} → ${mib(after.supervisor)}`,
    `${mib(before.tree)} → ${mib(after.tree)}`,
    `${before.fds} → ${after.fds}; ${before.treeFds} → ${after.treeFds}`,
    names.map((name) => `\`${name}\` × ${times(name).length}`).join(', ') || 'nothing',
  ];
  rows.push(row);
  console.log(row.join(' | '));
  for (const name of names) console.log(`${fault}, ${model}: ${times(name)[0]?.msg}`);
  if (failures.length > 0) console.log(`${fault}, ${model}: ${[...new Set(failures)].join('; ')}`);
  expect(refused).toEqual([]);
  expect(lost).toBeLessThanOrEqual(mayLose + (load[0] + load[1]) * died);
  expect(after).toMatchObject({ fds: before.fds, treeFds: before.treeFds });
  for (const [event, words] of Object.entries(says)) expect(times(event)[0]?.msg).toMatch(words);
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)}`;
const fdsOf = (pid: number): number => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0; // it has ended
  }
};

const clientsOf = (server: Server, [oneEach, keptAlive]: readonly [number, number]) => [
  new Clients(server.url, oneEach, 'one-each'),
  new Clients(server.url, keptAlive, 'kept-alive'),
];

/** Memory (bytes) and descriptors, of the supervisor and of all processes. */
interface Figures {
  readonly supervisor: number;
  readonly tree: number;
  readonly fds: number;
  readonly treeFds: number;
}

/** When no client is left, and the descriptors are as in `like`, or else no longer change. */
async function settled(server: Server, like?: Figures): Promise<Figures> {
  const look = () => ({
    fds: fdsOf(server.pid),
    treeFds: [server.pid, ...server.tree()].reduce((total, pid) => total + fdsOf(pid), 0),
  });
  let now = look();
  let same = 0;
  for (const end = Date.now() + 20_000; Date.now() < end && same < 10; ) {
    await pause(50);
    const next = look();
    const wanted = like ?? now;
    same = next.fds === wanted.fds && next.treeFds === wanted.treeFds ? same + 1 : 0;
    now = next;
  }
  return { ...now, supervisor: residentMemory(server.pid), tree: memoryOfTree(server.pid) };
}

async function isWell(server: Server): Promise<boolean> {
  const { json } = await ask(control, 'GET', '/status');
  // In ppc there is no worker without a connection.
  const isWhole = json.model === 'ppc' || json.workers.ready >= json.workers.wanted;
  if (json.state !== 'serving' || json.doing || !isWhole) return false;
  using wire = await connect(server.url);
  return await wire.ask('GET /', { connection: 'close' }).then(
    ({ status }) => status === 200,
    () => false,
  );
}

const signal = (pids: readonly number[], name: NodeJS.Signals): void => {
  for (const pid of pids) process.kill(pid, name);
};

function killFirst(server: Server): void {
  const [first] = server.workers();
  if (first) process.kill(first, 'SIGKILL');
}

async function once(server: Server, target: string): Promise<void> {
  using wire = await connect(server.url);
  await wire.ask(`GET ${target}`, { connection: 'close' }).catch(() => {}); // the worker may end with it
}

describe('stopped', () => {
  test.each(models)('%s', (model) =>
    run({
      fault: 'the supervisor is stopped for 4 s (SIGSTOP), under `--hang-timeout 2s`',
      model,
      args: ['--hang-timeout', '2s'],
      inflict: async (server) => {
        signal([server.pid], 'SIGSTOP');
        await pause(4000);
        signal([server.pid], 'SIGCONT');
      },
    }),
  );
});

describe('asleep', () => {
  test.each(['prefork', 'ppc', 'prethread'])('%s', (model) =>
    run({
      fault: 'all processes are stopped for 4 s, as when a virtual machine is paused, under `--hang-timeout 2s`',
      model,
      args: ['--hang-timeout', '2s'],
      inflict: async (server) => {
        const all = [server.pid, ...server.tree()];
        signal(all, 'SIGSTOP');
        await pause(4000);
        signal(all, 'SIGCONT');
      },
    }),
  );
});

describe('clock', () => {
  const file = path.join(folder, 'shift');
  const shift = (ms: number): void => {
    writeFileSync(`${file}.new`, `${ms}`);
    renameSync(`${file}.new`, file);
  };
  test.each(['prefork', 'prethread', 'ppc'])('%s', (model) => {
    shift(0);
    return run({
      fault: 'the wall clock of all processes jumps: an hour ahead, two back, and to the right time',
      model,
      env: { NODE_OPTIONS: `--require=${appFile('shifted-clock.cjs')}`, CLOCK_SHIFT: file },
      args: ['--hang-timeout', '2s', '--keep-alive-timeout', '1s'],
      inflict: async () => {
        for (const hours of [1, -1, 0]) {
          shift(hours * 3_600_000);
          await pause(2500);
        }
      },
    });
  });
});

describe('descriptors', () => {
  const few = { node: '/bin/sh', script: fixture('few-descriptors.sh'), env: { NODE: process.execPath } };
  test.each([
    ['prefork', 100, 60],
    ['prethread', 100, 60],
    ['hybrid', 100, 60],
    // A process or a thread for each connection, which takes several descriptors.
    ['ppc', 15, 100],
    ['tpc', 15, 100],
  ])('few, %s', (model, crowd, limit) =>
    run({
      fault: `${crowd} more clients for 4 s under \`ulimit -n ${limit}\``,
      model,
      ...few,
      env: { ...few.env, LIMIT: `${limit}` },
      crowd,
      says: { 'descriptors-used-up': /ulimit -n/ },
      inflict: () => pause(4000),
    }),
  );

  test.each(['prefork', 'prethread'])('open, %s', (model) =>
    run({
      fault: 'the app opens files up to `ulimit -n 60`, and closes them after 4 s',
      model,
      ...few,
      size: ['--workers', '1', '--threads', '1'],
      says: { 'descriptors-used-up': /ulimit -n/ },
      mayLose: 10_000, // within the second until the server looks
      inflict: async (server) => {
        using wire = await connect(server.url);
        await wire.ask('GET /open');
        await pause(4000);
        await wire.ask('GET /close');
      },
    }),
  );

  test.each(['prefork', 'prethread'])('supervisor, %s', (model) =>
    run({
      fault: 'the supervisor can open nothing more (`prlimit`) for 4 s, and its first worker is killed',
      model,
      says: { 'worker-unfit': /ulimit -n/ },
      inflict: async (server) => {
        execFileSync('prlimit', [`--pid=${server.pid}`, `--nofile=${fdsOf(server.pid)}:`]);
        killFirst(server);
        await pause(4000);
        execFileSync('prlimit', [`--pid=${server.pid}`, '--nofile=20000:']);
      },
    }),
  );
});

describe('memory', () => {
  const hoard = async (server: Server): Promise<void> => {
    for (let i = 0; i < 3; i++) await once(server, `/hoard?${i}`);
  };
  test.each(['prefork', 'ppc', 'prethread'])('process, %s', (model) =>
    run({
      fault: 'a request fills the heap of its process (`--node-arg=--max-old-space-size=64`), three times',
      model,
      args: ['--node-arg=--max-old-space-size=64'],
      inflict: hoard,
    }),
  );

  test.each(['prethread', 'tpc', 'hybrid'])('thread, %s', (model) =>
    run({
      fault: 'a request fills the heap of its thread (`--max-thread-heap 64M`), three times',
      model,
      args: ['--max-thread-heap', '64M'],
      inflict: hoard,
    }),
  );
});

describe('disk', () => {
  // The file system is in a mount namespace of the server: no other process sees it, and it goes with the server.
  test.runIf(process.getuid?.() === 0).each(['prefork', 'prethread'])('%s', (model) => {
    const disk = path.join(folder, `disk-${model}`);
    const script = `${disk}.sh`;
    mkdirSync(disk);
    const server = `${process.execPath} ${path.join(root, 'bin/mpserve.js')} --access-log ${disk}/access.log "$@"`;
    writeFileSync(script, `exec unshare -m sh -c 'mount -t tmpfs -o size=1m tmpfs ${disk} && exec ${server}' sh "$@"`);
    return run({
      fault: 'the disk of the access log is full for 4 s; meanwhile a worker is killed, and a reload takes place',
      model,
      node: '/bin/sh',
      script,
      inflict: async (running) => {
        const filler = `/proc/${running.pid}/root${disk}/filler`;
        expect(spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']).status).toBe(1); // until it is full
        killFirst(running);
        expect(await ask(control, 'POST', '/reload')).toMatchObject({ status: 200 });
        await running.waitFor('the loss', ({ event }) => event === 'access-log-failed');
        await pause(4000);
        rmSync(filler);
        await running.waitFor('the end of the loss', ({ event }) => event === 'access-log-resumed');
      },
      says: { 'access-log-failed': /ENOSPC/, 'access-log-resumed': /lost/ },
    });
  });
});

test.each(['prefork', 'prethread'])('reader, %s', (model) =>
  run({
    fault: 'the reader of the log and of the access log stops reading for 4 s; meanwhile a worker is killed',
    model,
    args: ['--access-log', '-'],
    // This process is the reader: the pipe between fills, as it does when a reader in another process is stopped.
    inflict: async (server) => {
      server.child.stdout?.pause();
      const filling = new Clients(server.url, 8, 'kept-alive', `/?${'x'.repeat(4000)}`);
      await pause(1000);
      killFirst(server);
      await pause(3000);
      server.child.stdout?.resume();
      await filling.stop();
    },
  }),
);

test.each(['prefork', 'prethread'])('connections, %s', (model) =>
  run({
    fault: '10,000 connections are open, each with a request when it opens and another before it closes',
    model,
    args: ['--keep-alive-timeout', '5m', '--max-connections', '11000'],
    inflict: async (server, before) => {
      const wires: Wire[] = [];
      const open = async (): Promise<void> => {
        while (wires.length < 10_000) {
          const wire = new Wire(net.connect(connectOptions(server.url)));
          wires.push(wire);
          expect((await wire.ask('GET /')).status).toBe(200);
        }
      };
      const close = async (): Promise<void> => {
        for (let wire = wires.pop(); wire; wire = wires.pop()) {
          expect((await wire.ask('GET /', { connection: 'close' })).status).toBe(200);
          wire.close();
        }
      };
      const many = (work: () => Promise<void>) => Promise.all(Array.from({ length: 32 }, work));
      await many(open);
      const each = (memoryOfTree(server.pid) - before.tree) / wires.length;
      console.log(`${model}: ${(each / 1024).toFixed(1)} KiB for each of 10,000 connections`);
      await many(close);
    },
  }),
);

describe('crash loop', () => {
  test.each(models)('%s', (model) => {
    const app = path.join(folder, 'release.cjs');
    const write = (code: string): void => {
      writeFileSync(`${app}.new`, `module.exports = (_req, res) => res.end('well');\n${code}`);
      renameSync(`${app}.new`, app);
    };
    write('');
    return run({
      fault:
        'for 5 s each worker dies 100 ms after its start, after a reload with `--probation 0`; then a good release',
      model,
      app,
      inflict: async () => {
        write('setTimeout(() => process.exit(7), 100);');
        await ask(control, 'POST', '/reload');
        await pause(5000);
        write('');
        await ask(control, 'POST', '/reload');
      },
    });
  });
});

test('1,000 reloads', { timeout: 1_200_000 }, () =>
  run({
    fault: '1,000 reloads in a row, with `--probation 0`',
    model: 'prefork',
    load: [1, 1],
    inflict: async (server) => {
      const memory: string[] = [];
      for (let i = 1; i <= 1000; i++) {
        expect(await ask(control, 'POST', '/reload')).toMatchObject({ status: 200 });
        if (i % 100 === 0) memory.push(mib(residentMemory(server.pid)));
      }
      console.log(`the supervisor after each 100 reloads: ${memory.join(', ')} MiB`);
    },
  }),
);
