// A real Prometheus scrapes the server, with the configuration of docs/deploy/prometheus.md, and comes to the same numbers.
// Skipped where there is none: install the package `prometheus`, or have `.ci/run` unpack it.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileOf } from '../guides/page.ts';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { findProgram, type Program } from '../helpers/programs.ts';
import { parseSamples } from '../helpers/samples.ts';
import { root, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';

const deploy = path.join(root, 'docs/deploy');
const prometheus = findProgram(['prometheus'], '--version', 'the tests of metrics beside a real Prometheus');
const promtool = findProgram(['promtool'], '--version', 'the tests of metrics with promtool');

const command = (program: Program | undefined) => (program as Program).command;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-prometheus-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const running: ChildProcess[] = [];
afterAll(async () => {
  for (const one of running.splice(0)) {
    one.kill('SIGKILL');
    if (one.exitCode === null && one.signalCode === null) await once(one, 'exit');
  }
});

/** The configuration of the guide, for this server and token, with short intervals. */
function configFor(target: string, tokenFile: string): string {
  const yaml = fileOf('docs/deploy/prometheus.md', '/etc/prometheus/prometheus.yml');
  const changes: readonly [string, string][] = [
    ['scrape_interval: 15s', 'scrape_interval: 1s'],
    ['evaluation_interval: 15s', 'evaluation_interval: 1s'],
    ['- mpserve.rules.yml', `- ${path.join(deploy, 'mpserve.rules.yml')}`],
    ['/etc/prometheus/mpserve-token', tokenFile],
    ['app1.internal:9090', target],
  ];
  return changes.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, yaml);
}

/** @returns the URL of its API. Another process may take the port before it does. */
async function startPrometheus(config: string, tries = 3): Promise<string> {
  const port = await freePort();
  const file = path.join(folder, 'prometheus.yml');
  writeFileSync(file, config);
  execFileSync(command(promtool), ['check', 'config', file], { stdio: 'pipe' });
  const child = spawn(
    command(prometheus),
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(folder, `data-${tries}`)}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
  );
  running.push(child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually('Prometheus to be ready', async () => {
      if (child.exitCode !== null) throw new Error(`it exited: ${said.slice(-2000)}`);
      return (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok;
    });
    return url;
  } catch (error) {
    if (tries === 1 || !/address already in use/.test(said)) throw error;
    return startPrometheus(config, tries - 1);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests look at what they expect
async function api(url: string, target: string): Promise<any> {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const { status, data, error }: any = await (await fetch(`${url}/api/v1/${target}`)).json();
  expect(status, error).toBe('success');
  return data;
}

async function query(url: string, expression: string): Promise<number | undefined> {
  const { result } = await api(url, `query?query=${encodeURIComponent(expression)}`);
  return result.length > 0 ? Number(result[0].value[1]) : undefined;
}

describe.runIf(prometheus && promtool)('Prometheus', { tags: 'long' }, () => {
  test('sees what we see, through a reload and the death of a worker', async () => {
    const token = '0123456789abcdef0123456789abcdef';
    const tokenFile = path.join(folder, 'token');
    writeFileSync(tokenFile, token, { mode: 0o600 });
    await using site = await Site.start('prefork', ['--workers', '2', '--admin', '0', '--admin-token-file', tokenFile]);
    const { url: admin } = await site.server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
    const url = await startPrometheus(configFor(new URL(String(admin)).host, tokenFile));
    await eventually('a scrape', async () => (await query(url, 'up{job="mpserve"}')) === 1);

    const clients = [new Clients(site.server.url, 2, 'one-each'), new Clients(site.server.url, 2, 'kept-alive')];
    const further = async (): Promise<void> => {
      const since = clients.map(({ done }) => done);
      await eventually('further answers', () => clients.every(({ done }, i) => done > (since[i] as number) + 50));
    };
    await further();
    expect((await site.ask('POST', '/reload')).status).toBe(200);
    await further();
    const { json: workers } = await site.ask('GET', '/workers');
    process.kill(workers[0].pid, 'SIGKILL');
    await further();
    await Promise.all(clients.map((one) => one.stop()));

    const ours = async () => {
      const headers = { authorization: `Bearer ${token}` };
      return parseSamples(await (await fetch(`${admin}/metrics`, { headers })).text());
    };
    await eventually('no connection to be left', async () => (await ours()).get('mpserve_connections_open') === 0);
    const samples = await ours();
    const same = [
      'mpserve_connections_accepted_total',
      'mpserve_request_duration_seconds_count',
      'mpserve_sent_bytes_total',
    ];
    const exits = ['unit="process",cause="reload"', 'unit="process",cause="signal"'];
    const all = [...same, 'mpserve_requests_total{method="GET",class="2xx"}', 'mpserve_connections_open'];
    for (const name of [...all, ...exits.map((labels) => `mpserve_exits_total{${labels}}`)]) {
      const value = samples.get(name);
      expect(value, name).toBeTypeOf('number');
      await eventually(`${name} to be ${value}`, async () => (await query(url, name)) === value);
    }
    expect(samples.get('mpserve_exits_total{unit="process",cause="signal"}')).toBe(1);
    // No counter has gone back.
    const names = [...new Set([...samples.keys()].map((name) => name.replace(/\{.*/, '')))];
    const counters = names.filter((name) => /_(total|count|sum|bucket)$/.test(name));
    for (const name of counters) expect(await query(url, `sum(resets(${name}[10m]))`), name).toBe(0);

    const scraped: string[] = await api(url, 'label/__name__/values');
    expect(names.filter((name) => !scraped.includes(name))).toEqual([]);
    const { activeTargets } = await api(url, 'targets');
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }]);
    const rules = async () => (await api(url, 'rules')).groups.flatMap((group: { rules: object[] }) => group.rules);
    await eventually('all rules to be evaluated', async () =>
      (await rules()).every(({ health }: { health: string }) => health === 'ok'),
    );
    expect(await rules()).toHaveLength(14);
  });

  test('promtool finds the text well-formed', async () => {
    await using server = await startServer({ args: ['--admin', '0', '--workers', '2'] });
    const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
    await fetch(server.url);
    const text = await (await fetch(`${url}/metrics`)).text();
    const { status, stdout, stderr } = spawnSync(command(promtool), ['check', 'metrics'], { input: text });
    expect({ status, said: `${stdout}${stderr}` }).toEqual({ status: 0, said: '' });
  });

  test('promtool accepts the rules, and each fires when it should', () => {
    const run = (...args: string[]) => execFileSync(command(promtool), args, { cwd: deploy, encoding: 'utf8' });
    expect(run('check', 'rules', 'mpserve.rules.yml')).toMatch(/SUCCESS: 14 rules found/);
    expect(run('test', 'rules', 'mpserve.rules.test.yml')).toMatch(/SUCCESS/);
  });
});
