// Each metric moves for its cause, by as much as it should, and no other one of the same name does.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { placements } from '../helpers/placements.ts';
import { reaches, type Samples, scrape } from '../helpers/samples.ts';
import { fixture } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const code = readFileSync(fixture('ends.cjs'), 'utf8');

const startSite = (model: string, args: readonly string[] = [], config: object = {}): Promise<Site> =>
  Site.start(model, ['--admin', 'unix:SOCKET', ...args], { hangTimeout: 0, ...config }, {}, undefined, code);

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

describe.concurrent('the cause of a connection’s end is', () => {
  const one = ['--workers', '1'];
  const ends = async (
    cause: string,
    args: readonly string[],
    act: (site: Site) => Promise<unknown>,
    model = 'prefork',
  ) => {
    const site = await startSite(model, [...(model === 'prefork' ? one : []), ...args]);
    try {
      await movesOnly(site, 'mpserve_connections_closed_total', `cause="${cause}"`, () => act(site));
      await reaches(site, 'mpserve_connections_open', 0);
    } finally {
      await site.remove();
    }
  };
  const asked = async (site: Site, target = '/'): Promise<Wire> => {
    const wire = await connect(site.server.url);
    await wire.ask(`GET ${target}`);
    return wire;
  };

  test.each(placements.filter(({ name }) => /^(ppc|tpc|prethread shared)$/.test(name)))(
    'the client: $name',
    ({ model }) => ends('client', [], async (site) => (await asked(site)).close(), model),
  );
  test('the client, in the middle of a request', () =>
    ends('client', [], async (site) => (await sendTo(site, '/hold')).close()));
  test.each(['/close', '/'])('the response to %s', (target) =>
    ends('response', [], async (site) => {
      using wire = await connect(site.server.url);
      await wire.ask(`GET ${target}`, target === '/' ? { connection: 'close' } : {});
      await wire.rest();
    }),
  );
  test('the keep-alive timeout', () =>
    ends('idle', ['--keep-alive-timeout', '100ms'], async (site) => (await asked(site)).rest()));
  test('the header timeout', () =>
    ends('timeout', ['--header-timeout', '200ms'], async (site) => {
      using wire = await connect(site.server.url);
      await wire.write('GET / HTTP/1.1\r\nhost: a');
      expect((await wire.head()).status).toBe(408);
    }));
  test('the deadline of a request', () =>
    ends('timeout', ['--request-deadline', '200ms'], async (site) => {
      using wire = await sendTo(site, '/hold');
      expect((await wire.response()).status).toBe(504);
    }));
  test('no HTTP', () =>
    ends('invalid', [], async (site) => {
      using wire = await connect(site.server.url);
      await wire.write('no HTTP at all\r\n\r\n');
      expect((await wire.head()).status).toBe(400);
    }));
  test('a body that is refused', () =>
    ends('refused', ['--max-body-size', '10'], async (site) => {
      using wire = await connect(site.server.url);
      await wire.request('POST /', { 'content-length': '100' });
      expect((await wire.response()).status).toBe(413);
    }));
  test('the app', () => ends('other', [], (site) => lost(site, '/cut')));
  test('others that wait', async () => {
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
  ] as const)('a reload: %s', async (cause, args) => {
    const site = await startSite('prefork', [...one, ...args]);
    try {
      using wire = await asked(site);
      await movesOnly(site, 'mpserve_connections_closed_total', `cause="${cause}"`, async () => {
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      });
      await reaches(site, 'mpserve_connections_open', cause === 'migrated' ? 1 : 0);
      wire.close();
    } finally {
      await site.remove();
    }
  });
});

describe.concurrent.each([
  ['ppc'],
  ['prefork', '--workers', '2'],
  ['tpc'],
  ['prethread', '--threads', '2'],
  ['hybrid', '--workers', '2', '--threads', '2'],
])('%s', (model, ...args) => {
  test('what there is at the moment is exact, also after its worker was killed', async () => {
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
});

describe.concurrent('a request is refused:', () => {
  const refused = async (reason: string, args: readonly string[], act: (site: Site) => Promise<unknown>) => {
    const site = await startSite('prefork', ['--workers', '1', ...args], { gracefulTimeout: '2s' });
    try {
      await movesOnly(site, 'mpserve_requests_refused_total', `reason="${reason}"`, () => act(site));
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

describe.concurrent('the cause of an exit is', () => {
  const kinds = { process: ['prefork', '--workers', '2'], thread: ['prethread', '--threads', '2'] } as const;
  const exits = async (
    unit: keyof typeof kinds,
    cause: string,
    args: readonly string[],
    act: (site: Site) => Promise<unknown>,
    count = 1,
  ) => {
    const [model, ...own] = kinds[unit];
    const site = await startSite(model, [...own, ...args], { quarantineAfter: 0, probation: '0' });
    try {
      const before = await scrape(site);
      const starts = `mpserve_starts_total{unit="${unit}"}`;
      expect(before.get(starts)).toBe(2);
      await act(site);
      const sample = `mpserve_exits_total{unit="${unit}",cause="${cause}"}`;
      await reaches(site, sample, count);
      const names = new RegExp(`^mpserve_exits_total\\{unit="${unit}"`);
      expect(moved(before, await scrape(site), names)).toEqual({ [sample]: count });
      return await scrape(site);
    } finally {
      await site.remove();
    }
  };
  const act = (site: Site, target: string, body?: string) => async () => {
    expect(await site.ask('POST', target, body)).toMatchObject({ status: 200 });
  };

  describe.each(['process', 'thread'] as const)('of a %s,', (unit) => {
    test('crash', async () => {
      const samples = await exits(unit, 'crash', [], (site) => lost(site, '/crash'));
      expect(samples.get('mpserve_crashes_total')).toBe(1);
    });
    test('exit', () => exits(unit, 'exit', [], (site) => lost(site, '/exit')));
    test('hang', async () => {
      const samples = await exits(unit, 'hang', ['--hang-timeout', '500ms'], (site) => lost(site, '/block'));
      expect(samples.get('mpserve_hangs_total')).toBe(1);
    });
    test('out-of-memory', () => {
      const limit = { process: '--node-arg=--max-old-space-size=30', thread: '--max-thread-heap=30M' }[unit];
      return exits(unit, 'out-of-memory', [limit], (site) => lost(site, '/leak'));
    });
    test('recycled', () =>
      exits(unit, 'recycled', ['--max-requests', '3', '--max-requests-jitter', '0'], async (site) => {
        const since = Date.now();
        await eventually('the workers to be old enough', () => Date.now() - since > 400);
        using wire = await connect(site.server.url);
        for (let i = 0; i < 3; i++) await wire.ask('GET /');
      }));
  });

  test('signal', () =>
    exits('process', 'signal', [], async (site) =>
      process.kill((await site.ask('GET', '/workers')).json[0].pid, 'SIGKILL'),
    ));
  test('reload', () => exits('process', 'reload', [], (site) => act(site, '/reload')(), 2));
  test('host: the process of the threads is replaced', () =>
    exits('thread', 'host', [], (site) => act(site, '/reload')(), 2));
  test('scale-down', () => exits('process', 'scale-down', [], (site) => act(site, '/scale', '{"workers": "-1"}')()));
  test('drain', () => exits('process', 'drain', [], (site) => act(site, '/drain')(), 2));
  test('switch', () =>
    exits('process', 'switch', [], (site) => act(site, '/switch', '{"options": {"model": "tpc"}}')(), 2));
  test('boot, which rolls a reload back', async () => {
    const samples = await exits('process', 'boot', [], async (site) => {
      site.write('throw new Error("broken")');
      expect((await site.ask('POST', '/reload')).status).toBe(500);
    });
    expect(samples.get('mpserve_operations_failed_total{action="reload"}')).toBe(1);
    expect(samples.get('mpserve_rollbacks_total{action="reload"}')).toBe(1);
  });
  test.each(['ppc', 'tpc'])('exit, of a worker of %s that has served its connection', async (model) => {
    const site = await startSite(model);
    try {
      using wire = await connect(site.server.url);
      await wire.ask('GET /', { connection: 'close' });
      await reaches(site, `mpserve_exits_total{unit="${model === 'ppc' ? 'process' : 'thread'}",cause="exit"}`, 1);
    } finally {
      await site.remove();
    }
  });
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
  test.each([
    ['prefork', '--workers', '2'],
    ['prethread', '--threads', '2'],
    ['hybrid', '--workers', '2', '--threads', '2'],
  ])('%s', async (model, ...args) => {
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

test.runIf(process.platform === 'linux').each([
  ['127.0.0.1:0', 'shared'],
  ['[::1]:0', 'shared'],
  ['127.0.0.1:0', 'reuseport'],
])('clients that wait in the kernel at %s, %s', async (bind, accept) => {
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
});

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
