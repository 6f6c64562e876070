// Each metric moves for its cause, by as much as it should, and no other one of the same name does.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { placements, sizedModels } from '../helpers/placements.ts';
import { reaches, type Samples, scrape } from '../helpers/samples.ts';
import { fixture } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const code = readFileSync(fixture('ends.cjs'), 'utf8');

const startSite = (model: string, args: readonly string[] = [], config: object = {}, app = code): Promise<Site> =>
  Site.start(model, ['--admin', 'unix:SOCKET', ...args], { hangTimeout: 0, ...config }, {}, undefined, app);

/** One thread of it dies when it has been ready for a moment, the process and the other threads live. */
const dyingAsThread = `
  const { threadId } = require('node:worker_threads');
  if (threadId === 1) setTimeout(() => { throw new Error('as was asked'); }, 50);
  module.exports = (_, res) => res.end();`;

/** Of `closing.cjs`. */
async function closeServer(site: Site): Promise<void> {
  using wire = await connect(site.server.url);
  expect((await wire.ask('POST /close', {}, 'a')).status).toBe(200);
}

/** The samples of these names that have changed, with what they have changed by. */
function moved(before: Samples, after: Samples, names: RegExp): Record<string, number> {
  const all = [...after].filter(([name, value]) => names.test(name) && value !== (before.get(name) ?? 0));
  return Object.fromEntries(all.map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
}

/** Of a counter with one label. */
async function movesOnly(site: Site, name: string, label: string, act: () => Promise<unknown>): Promise<void> {
  const before = await scrape(site);
  await act();
  const sample = `${name}{${label}}`;
  await reaches(site, sample, (before.get(sample) ?? 0) + 1);
  expect(moved(before, await scrape(site), new RegExp(`^${name}\\{`))).toEqual({ [sample]: 1 });
}

/** Until it has ended, or forever. */
async function sendTo(site: Site, target: string, method = 'GET'): Promise<Wire> {
  const wire = await connect(site.server.url);
  await wire.request(`${method} ${target}`);
  return wire;
}

async function lost(site: Site, target: string): Promise<void> {
  using wire = await sendTo(site, target);
  await wire.rest();
}

/** With an open connection, which has served a request. */
async function asked(site: Site, target = '/', headers: Readonly<Record<string, string>> = {}): Promise<Wire> {
  const wire = await connect(site.server.url);
  await wire.ask(`GET ${target}`, headers);
  return wire;
}

const act = async (site: Site, target: string, body?: string): Promise<void> => {
  expect(await site.ask('POST', target, body)).toMatchObject({ status: 200 });
};

type Steps = Readonly<Record<string, (site: Site) => Promise<unknown>>>;

describe.concurrent('the cause of a connection’s end', () => {
  const one = ['--workers', '1'];

  /** @param steps by their causes; what follows a space tells two apart */
  const ends = async (args: readonly string[], steps: Steps, model = 'prefork') => {
    const site = await startSite(model, [...(model === 'prefork' ? one : []), ...args]);
    try {
      for (const [name, step] of Object.entries(steps)) {
        const [cause] = name.split(' ');
        await movesOnly(site, 'mpserve_connections_closed_total', `cause="${cause}"`, () => step(site));
        await reaches(site, 'mpserve_connections_open', 0);
      }
    } finally {
      await site.remove();
    }
  };

  for (const placement of placements.filter(({ name }) => /^(ppc|tpc|prethread shared)$/.test(name))) {
    const tags = placement.name === 'ppc' ? [] : ['long'];
    test(`is the client: ${placement.name}`, { tags }, () =>
      ends([], { client: async (site) => (await asked(site)).close() }, placement.model),
    );
  }

  test('is the client, the response, what was sent, or the app', () =>
    ends(['--max-body-size', '10'], {
      client: async (site) => (await asked(site)).close(),
      'client in the middle of a request': async (site) => (await sendTo(site, '/hold')).close(),
      response: async (site) => (await asked(site, '/close')).rest(),
      'response to a client that says so': async (site) => (await asked(site, '/', { connection: 'close' })).rest(),
      invalid: async (site) => {
        using wire = await connect(site.server.url);
        await wire.write('no HTTP at all\r\n\r\n');
        expect((await wire.head()).status).toBe(400);
      },
      refused: async (site) => {
        using wire = await connect(site.server.url);
        await wire.request('POST /', { 'content-length': '100' });
        expect((await wire.response()).status).toBe(413);
      },
      other: (site) => lost(site, '/cut'),
    }));

  test('is a timeout', () =>
    ends(['--keep-alive-timeout', '100ms', '--header-timeout', '200ms', '--request-deadline', '200ms'], {
      idle: async (site) => (await asked(site)).rest(),
      'timeout of the head': async (site) => {
        using wire = await connect(site.server.url);
        await wire.write('GET / HTTP/1.1\r\nhost: a');
        expect((await wire.head()).status).toBe(408);
      },
      'timeout of the request': async (site) => {
        using wire = await sendTo(site, '/hold');
        expect((await wire.response()).status).toBe(504);
      },
    }));

  test('is that others wait', async () => {
    const site = await startSite('prefork', [...one, '--max-connections', '1']);
    try {
      await movesOnly(site, 'mpserve_connections_closed_total', 'cause="shed"', async () => {
        using idle = await asked(site);
        const next = await asked(site);
        expect(await idle.rest()).toHaveLength(0);
        void next; // stays open, so that its end does not count
      });
    } finally {
      await site.remove();
    }
  });

  test.each([
    ['migrated', []],
    ['drain', ['--no-migrate']],
  ] as const)('is a reload: %s', async (cause, args) => {
    const site = await startSite('prefork', [...one, ...args]);
    try {
      using wire = await asked(site);
      await movesOnly(site, 'mpserve_connections_closed_total', `cause="${cause}"`, () => act(site, '/reload'));
      await reaches(site, 'mpserve_connections_open', cause === 'migrated' ? 1 : 0);
      wire.close();
    } finally {
      await site.remove();
    }
  });
});

for (const { model, args, tags } of sizedModels) {
  test.concurrent(`${model}: what there is at the moment is exact, also after its worker was killed`, {
    tags,
  }, async () => {
    const site = await startSite(model, args);
    try {
      const wires = [];
      for (let i = 0; i < 4; i++) wires.push(await sendTo(site, '/hold'));
      await reaches(site, 'mpserve_requests_in_flight', 4);
      expect((await scrape(site)).get('mpserve_connections_open')).toBe(4);
      wires[0]?.close();
      await reaches(site, 'mpserve_requests_in_flight', 3);
      await reaches(site, 'mpserve_connections_open', 3);
      const { json: workers } = await site.ask('GET', '/workers');
      for (const { pid } of workers) process.kill(pid, 'SIGKILL');
      await reaches(site, 'mpserve_requests_in_flight', 0);
      await reaches(site, 'mpserve_connections_open', 0);
      for (const wire of wires) wire.close();
    } finally {
      await site.remove();
    }
  });
}

describe.concurrent('a request is refused:', () => {
  const refused = async (reason: string, args: readonly string[], step: (site: Site) => Promise<unknown>) => {
    const site = await startSite('prefork', ['--workers', '1', ...args], { gracefulTimeout: '2s' });
    try {
      await movesOnly(site, 'mpserve_requests_refused_total', `reason="${reason}"`, () => step(site));
    } finally {
      await site.remove();
    }
  };
  const status = async (site: Site, line: string, headers: Readonly<Record<string, string>> = {}): Promise<number> => {
    using wire = await connect(site.server.url);
    return (await wire.ask(line, headers)).status;
  };
  const full = ['--max-inflight', '1'];

  test('rate-limit', () =>
    refused('rate-limit', ['--rate-limit', '1/h'], async (site) => {
      expect(await status(site, 'GET /')).toBe(200);
      expect(await status(site, 'GET /')).toBe(429);
    }));
  test('too-large', () =>
    refused('too-large', ['--max-body-size', '10'], async (site) => {
      expect(await status(site, 'POST /', { 'content-length': '100' })).toBe(413);
    }));
  test('deadline', () =>
    refused('deadline', ['--request-deadline', '100ms'], async (site) => {
      expect(await status(site, 'GET /hold')).toBe(504);
    }));
  test('queue-full', () =>
    refused('queue-full', [...full, '--queue-max', '0'], async (site) => {
      await sendTo(site, '/hold');
      await reaches(site, 'mpserve_requests_in_flight', 1);
      expect(await status(site, 'GET /')).toBe(503);
    }));
  test('queue-timeout', () =>
    refused('queue-timeout', [...full, '--queue-timeout', '100ms'], async (site) => {
      await sendTo(site, '/hold');
      await reaches(site, 'mpserve_requests_in_flight', 1);
      expect(await status(site, 'GET /')).toBe(503);
    }));
  test('shed', () =>
    refused('shed', [...full, '--queue-timeout', '10m', '--shed', 'p99=10ms'], async (site) => {
      const file = path.join(site.folder, 'held');
      writeFileSync(file, '');
      await sendTo(site, `/until?${encodeURIComponent(file)}`);
      await reaches(site, 'mpserve_requests_in_flight', 1);
      const waiting = await sendTo(site, '/');
      await reaches(site, 'mpserve_requests_waiting', 1);
      const since = Date.now();
      await eventually('it to have waited for too long', () => Date.now() - since > 50);
      rmSync(file);
      expect((await waiting.response()).status).toBe(503);
      await reaches(site, 'mpserve_requests_waiting', 0);
    }));
  test('draining', () =>
    refused('draining', [...full, '--queue-timeout', '10m', '--no-migrate'], async (site) => {
      await sendTo(site, '/hold');
      await reaches(site, 'mpserve_requests_in_flight', 1);
      const waiting = await sendTo(site, '/');
      await reaches(site, 'mpserve_requests_waiting', 1);
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      expect((await waiting.response()).status).toBe(503);
    }));
  test('quarantined', () =>
    refused('quarantined', ['--quarantine-after', '1', '--probation', '0'], async (site) => {
      await lost(site, '/exit');
      await reaches(site, 'mpserve_quarantined_requests{state="refused"}', 1);
      expect(await status(site, 'GET /exit')).toBe(503);
      await eventually('an answer', async () => (await status(site, 'GET /')) === 200);
    }));
});

describe.concurrent('the cause of an exit', () => {
  const kinds = { process: ['prefork', '--workers', '2'], thread: ['prethread', '--threads', '2'] } as const;
  type Kind = keyof typeof kinds;
  const exitOf = (unit: Kind, cause: string): string => `mpserve_exits_total{unit="${unit}",cause="${cause}"}`;

  /** @param steps by the causes of the exits that they lead to, with their number where it is not 1: `reload 2` */
  const exits = async (unit: Kind, args: readonly string[], steps: Steps, config: object = {}) => {
    const [model, ...own] = kinds[unit];
    const site = await startSite(model, [...own, ...args], { quarantineAfter: 0, probation: '0', ...config });
    try {
      expect((await scrape(site)).get(`mpserve_starts_total{unit="${unit}"}`)).toBe(2);
      for (const [name, step] of Object.entries(steps)) {
        const before = await scrape(site);
        const expected = name.split(', ').map((words) => {
          const [cause = '', count = '1'] = words.split(' ');
          return [exitOf(unit, cause), Number(count)] as const;
        });
        await step(site);
        for (const [sample, count] of expected) await reaches(site, sample, (before.get(sample) ?? 0) + count);
        const names = new RegExp(`^mpserve_exits_total\\{unit="${unit}"`);
        expect(moved(before, await scrape(site), names)).toEqual(Object.fromEntries(expected));
      }
      return await scrape(site);
    } finally {
      await site.remove();
    }
  };
  const killOne = async (site: Site): Promise<void> => {
    const { json: workers } = await site.ask('GET', '/workers');
    process.kill(workers[0].pid, 'SIGKILL');
  };
  const heap = { process: '--node-arg=--max-old-space-size=30', thread: '--max-thread-heap=30M' };

  for (const unit of ['process', 'thread'] as const) {
    test(`of a ${unit} is in the app: crash, exit, out-of-memory`, async () => {
      const samples = await exits(unit, [heap[unit]], {
        crash: (site) => lost(site, '/crash'),
        exit: (site) => lost(site, '/exit'),
        'out-of-memory': (site) => lost(site, '/leak'),
      });
      expect(samples.get('mpserve_crashes_total')).toBe(1);
    });
    test(`of a ${unit} is a hang`, async () => {
      const samples = await exits(unit, ['--hang-timeout', '500ms'], { hang: (site) => lost(site, '/block') });
      expect(samples.get('mpserve_hangs_total')).toBe(1);
    });
    test(`of a ${unit} is a limit: recycled`, () =>
      exits(unit, ['--max-requests', '3', '--max-requests-jitter', '0'], {
        recycled: async (site) => {
          const since = Date.now();
          await eventually('the workers to be old enough', () => Date.now() - since > 400);
          using wire = await connect(site.server.url);
          for (let i = 0; i < 3; i++) await wire.ask('GET /');
        },
      }));
    test(`of a ${unit} is that its app has closed its server`, async () => {
      const [model, ...args] = kinds[unit];
      const code = readFileSync(fixture('closing.cjs'), 'utf8');
      const site = await startSite(model, args, { quarantineAfter: 0 }, code);
      try {
        await movesOnly(site, 'mpserve_exits_total', `unit="${unit}",cause="server-closed"`, () => closeServer(site));
      } finally {
        await site.remove();
      }
    });
  }

  test('of a process is a signal, a release that cannot start, a reload, scaling, or a drain', async () => {
    const samples = await exits('process', [], {
      signal: killOne,
      boot: async (site) => {
        await eventually('both workers', async () => (await scrape(site)).get('mpserve_workers_ready') === 2);
        site.write('throw new Error("broken")');
        expect((await site.ask('POST', '/reload')).status).toBe(500);
        site.write(code);
      },
      'reload 2': (site) => act(site, '/reload'),
      'scale-down': (site) => act(site, '/scale', '{"workers": "-1"}'),
      drain: (site) => act(site, '/drain'),
    });
    expect(samples.get('mpserve_operations_failed_total{action="reload"}')).toBe(1);
    expect(samples.get('mpserve_rollbacks_total{action="reload"}')).toBe(1);
  });

  test('of a process is a switch', () =>
    exits('process', [], { 'switch 2': (site) => act(site, '/switch', '{"options": {"model": "tpc"}}') }));

  test('of a thread is the end of its process', () =>
    exits('thread', [], { 'host 2': (site) => act(site, '/reload') }));

  test('of a process is that the server stops', async () => {
    const site = await startSite('prefork', ['--workers', '2']);
    try {
      using wire = await sendTo(site, '/hold');
      await reaches(site, 'mpserve_requests_in_flight', 1);
      site.server.child.kill('SIGTERM');
      await reaches(site, exitOf('process', 'stop'), 1);
      wire.close();
      expect((await site.server.exit).code).toBe(0);
    } finally {
      await site.remove();
    }
  });

  /** Answers each request with 500. */
  const failing = 'module.exports = (_, res) => { res.statusCode = 500; res.end(); };';

  describe('of a worker that has failed its trial is a rollback:', () => {
    const rolledBack = async (model: string, args: readonly string[], action: string, body?: string) => {
      const site = await startSite(
        model,
        args,
        { canary: 20, quarantineAfter: 0 },
        'module.exports = (_, res) => res.end();',
      );
      try {
        const clients = new Clients(site.server.url, 4, 'one-each', '/', [200, 500]);
        site.write(failing);
        expect((await site.ask('POST', action, body)).status).toBe(500);
        await clients.stop();
        const samples = await scrape(site);
        expect(samples.get(`mpserve_rollbacks_total{action="${action.slice(1)}"}`)).toBe(1);
        return site;
      } catch (error) {
        await site.remove();
        throw error;
      }
    };

    test('of a canary', async () => {
      const site = await rolledBack('prefork', ['--workers', '2'], '/reload');
      try {
        await reaches(site, exitOf('process', 'rollback'), 1);
        expect(moved(new Map(), await scrape(site), /^mpserve_exits_total/)).toEqual({
          [exitOf('process', 'rollback')]: 1,
        });
      } finally {
        await site.remove();
      }
    });

    test('of a canary in ppc, whose workers have a connection each', { tags: 'long' }, async () => {
      const site = await rolledBack('ppc', [], '/reload');
      try {
        const known = [exitOf('process', 'exit'), exitOf('process', 'unused'), exitOf('process', 'rollback')];
        await eventually('a rollback', async () => ((await scrape(site)).get(known[2] as string) ?? 0) > 0);
        const names = Object.keys(moved(new Map(), await scrape(site), /^mpserve_exits_total/));
        expect(names.filter((name) => !known.includes(name))).toEqual([]);
      } finally {
        await site.remove();
      }
    });

    test('when one has died, the others of its generation as well', { tags: 'long' }, async () => {
      // The first one passes its probation without clients; then there is as much time for the request that is its end.
      await exits(
        'process',
        [],
        {
          'reload 2, crash, rollback': async (site) => {
            site.write('module.exports = () => setImmediate(() => { throw new Error("bad release") });');
            const reloading = site.ask('POST', '/reload');
            const isNew = ({ generation, stage }: { generation: number; stage: string }) =>
              generation === 2 && stage === 'ready';
            await eventually('the new workers', async () => {
              const { json: workers } = await site.ask('GET', '/workers');
              return workers.filter(isNew).length === 2;
            });
            await lost(site, '/');
            expect((await reloading).status).toBe(500);
          },
        },
        { probation: '5s' },
      );
    });

    test('of a switch', async () => {
      const site = await startSite('prefork', ['--workers', '1'], { probation: '10m' }, dyingAsThread);
      try {
        const { status } = await site.ask('POST', '/switch', '{"options": {"model": "prethread", "threads": 2}}');
        expect(status).toBe(500);
        await reaches(site, exitOf('process', 'rollback'), 1);
        expect((await scrape(site)).get(exitOf('process', 'switch'))).toBe(0);
      } finally {
        await site.remove();
      }
    });
  });

  for (const [model, unit] of [
    ['ppc', 'process'],
    ['tpc', 'thread'],
  ] as const) {
    const tags = model === 'ppc' ? [] : ['long'];
    test(`of a worker of ${model} is its connection, that it was not used, or its app`, { tags }, async () => {
      const closing = readFileSync(fixture('closing.cjs'), 'utf8');
      const site = await startSite(model, [], {}, closing);
      try {
        // The first worker is kept for as long as the first ones are on probation.
        await reaches(site, exitOf(unit, 'unused'), 1);
        (await asked(site, '/', { connection: 'close' })).close();
        await reaches(site, exitOf(unit, 'exit'), 1);
        await closeServer(site);
        await reaches(site, exitOf(unit, 'server-closed'), 1);
        expect(moved(new Map(), await scrape(site), new RegExp(`^mpserve_exits_total\\{unit="${unit}"`))).toEqual({
          [exitOf(unit, 'unused')]: 1,
          [exitOf(unit, 'exit')]: 1,
          [exitOf(unit, 'server-closed')]: 1,
        });
      } finally {
        await site.remove();
      }
    });
  }
});

test('an operation that fails before it has started anything rolls nothing back', async () => {
  await using site = await startSite('prefork', ['--workers', '1']);
  site.configure({ keepAliveTimeout: 'never' });
  expect((await site.ask('POST', '/reload')).status).toBeGreaterThanOrEqual(400);
  const samples = await scrape(site);
  expect(samples.get('mpserve_operations_failed_total{action="reload"}')).toBe(1);
  expect(samples.get('mpserve_rollbacks_total{action="reload"}')).toBe(0);
});

describe.concurrent('connections are placed', () => {
  for (const { model, args, tags } of sizedModels.filter((one) => !/^.pc$/.test(one.model)))
    test(model, { tags }, async () => {
      await using site = await startSite(model, [...args, '--accept', 'dispatch', '--balance', 'random-two']);
      const ask = async (): Promise<void> => {
        using wire = await connect(site.server.url);
        await wire.ask('GET /');
      };
      for (let i = 0; i < 3; i++) await ask();
      await reaches(site, 'mpserve_connections_placed_total{policy="random-two"}', 3);
      const body = '{"options": {"balance": "round-robin"}}';
      expect(await site.ask('POST', '/balance', body)).toMatchObject({ status: 200 });
      for (let i = 0; i < 2; i++) await ask();
      await reaches(site, 'mpserve_connections_placed_total{policy="round-robin"}', 2);
      const samples = await scrape(site);
      expect(samples.get('mpserve_connections_placed_total{policy="random-two"}')).toBe(3);
      expect([...samples.keys()].filter((name) => name.startsWith('mpserve_config_info'))).toEqual([
        expect.stringMatching(/accept="dispatch",balance="round-robin"/),
      ]);
    });
});

for (const [bind, accept, ...tags] of [
  ['127.0.0.1:0', 'shared'],
  ['[::1]:0', 'shared', 'long'],
  ['127.0.0.1:0', 'reuseport'],
] as const)
  test.runIf(process.platform === 'linux')(
    `clients that wait in the kernel at ${bind}, ${accept}`,
    { tags: [...tags] },
    async () => {
      const args = ['--workers', '1', '--accept', accept, '--backlog', '77', '--bind', bind];
      const site = await startSite('prefork', args);
      try {
        const url = site.server.urls.at(-1) as string;
        const waiting = `mpserve_backlog_connections{listener="${url}"}`;
        await reaches(site, waiting, 0);
        expect((await scrape(site)).get(`mpserve_backlog_limit_connections{listener="${url}"}`)).toBe(77);
        const { json: workers } = await site.ask('GET', '/workers');
        process.kill(workers[0].pid, 'SIGSTOP');
        const wires = [];
        for (let i = 0; i < 3; i++) wires.push(await connect(url));
        await reaches(site, waiting, 3);
        process.kill(workers[0].pid, 'SIGCONT');
        await reaches(site, waiting, 0);
        for (const wire of wires) wire.close();
      } finally {
        await site.remove();
      }
    },
  );

test.runIf(process.platform === 'linux')('lines of the access log that are lost', async () => {
  const site = await startSite('prefork', ['--workers', '1', '--access-log', '/dev/full']);
  try {
    using wire = await connect(site.server.url);
    const lines = async (): Promise<number> => (await scrape(site)).get('mpserve_access_lines_lost_total') ?? -1;
    expect(await lines()).toBe(0);
    await eventually('lines to be lost', async () => {
      for (let i = 0; i < 50; i++) await wire.ask('GET /');
      return (await lines()) > 0;
    });
  } finally {
    await site.remove();
  }
});

test('the supervisor counts its own time', async () => {
  await using site = await startSite('prefork', ['--workers', '1']);
  const [cpu, busy] = ['mpserve_supervisor_cpu_seconds_total', 'mpserve_supervisor_event_loop_busy_seconds_total'];
  const first = await scrape(site);
  expect(first.get(cpu)).toBeGreaterThan(0.01);
  expect(first.get('mpserve_supervisor_memory_bytes')).toBeGreaterThan(10e6);
  await eventually('both to grow', async () => {
    const next = await scrape(site);
    return [cpu, busy].every((name) => (next.get(name) as number) > (first.get(name) as number));
  });
});
