// 100,000 requests for each model, while workers are killed and the server is reloaded, switched to another model and back,
// and upgraded: are the counters of `/metrics` what the clients have counted, and does none ever fall? Each trial prints a
// row of the table in docs/benchmarks.md.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { Clients } from '../test/helpers/clients.ts';
import { eventually } from '../test/helpers/eventually.ts';
import { isAlive } from '../test/helpers/process-tree.ts';
import { fallenCounters, isCounter, type Samples, scrape } from '../test/helpers/samples.ts';
import { Site } from '../test/helpers/site.ts';

const total = 100_000;
/** Between two scrapes (milliseconds). */
const scrapeMs = 200;

const app = `module.exports = (req, res) => {
  res.statusCode = { '/missing': 404, '/broken': 500 }[req.url] ?? 200;
  res.end('Hello, World!');
};`;

const targets = [
  ['/', 200, '2xx'],
  ['/missing', 404, '4xx'],
  ['/broken', 500, '5xx'],
] as const;

const models = [
  ['ppc', ['--spares', '4']],
  ['prefork', ['--workers', '3']],
  ['tpc', ['--spares', '4']],
  ['prethread', ['--threads', '3']],
  ['hybrid', ['--workers', '2', '--threads', '2']],
] as const;

const rows: string[][] = [];
const head = [
  'model',
  'responses of the clients',
  'counted more',
  'failed or asked again',
  'scrapes',
  'counters that fell',
];

afterAll(() => {
  const lines = [head, head.map(() => '---'), ...rows];
  console.log(lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
});

const answeredOf = (samples: Samples, statusClass: string): number =>
  samples.get(`mpserve_requests_total{method="GET",class="${statusClass}"}`) ?? 0;

test.each(models)('%s', { timeout: 600_000 }, async (model, args) => {
  const site = await Site.start(model, [...args, '--admin', 'unix:SOCKET'], { quarantineAfter: 0 }, {}, undefined, app);
  try {
    const { url } = site.server;
    const groups = targets.map(([target, status, statusClass]) => ({
      statusClass,
      clients: [
        new Clients(url, 2, 'one-each', target, [status]),
        new Clients(url, 10, 'kept-alive', target, [status]),
      ],
    }));
    const done = (): number => groups.flatMap(({ clients }) => clients).reduce((sum, one) => sum + one.done, 0);
    let isOver = false;
    const fallen: string[] = [];
    let scrapes = 0;
    const scraping = (async () => {
      for (let last: Samples = new Map(); !isOver; scrapes++) {
        const samples = await scrape(site);
        fallen.push(...fallenCounters(last, samples));
        last = samples;
        await pause(scrapeMs);
      }
    })();
    const kill = async (): Promise<void> => {
      const { json: workers } = await site.ask('GET', '/workers');
      const victims = workers.filter(({ stage }: { stage: string }) => stage === 'ready');
      if (victims[0]) process.kill(victims[0].pid, 'SIGKILL');
    };
    const done200 = async (method: string, target: string, body?: string): Promise<void> => {
      expect(await site.ask(method, target, body)).toMatchObject({ status: 200 });
    };
    const switchTo = (to: string) => () => done200('POST', '/switch', JSON.stringify({ options: { model: to } }));
    const upgrade = async (): Promise<void> => {
      const { json: before } = await site.ask('GET', '/status');
      await done200('POST', '/upgrade');
      await eventually('the old server to exit', () => !isAlive(before.pid));
    };
    const reload = () => done200('POST', '/reload');
    const other = model === 'prefork' ? 'prethread' : 'prefork';
    const disturbances = [reload, kill, switchTo(other), kill, switchTo(model), reload, kill, upgrade, kill, reload];
    for (const [i, disturb] of disturbances.entries()) {
      await eventually('requests', () => done() > (total * i) / disturbances.length, 120_000);
      await disturb();
    }
    await eventually('the rest', () => done() >= total, 120_000);

    let more = 0;
    let answers = 0;
    let failures = 0;
    const counts = await Promise.all(
      groups.map(async ({ statusClass, clients }) => ({
        statusClass,
        counts: await Promise.all(clients.map((one) => one.stop())),
      })),
    );
    isOver = true;
    await scraping;
    const samples = await scrape(site);
    for (const { statusClass, counts: ofClass } of counts) {
      const answered = ofClass.reduce((sum, one) => sum + one.answered, 0);
      const failed = ofClass.reduce((sum, one) => sum + one.failures.length + one.reconnects, 0);
      const counted = answeredOf(samples, statusClass);
      answers += answered;
      failures += failed;
      more += counted - answered;
      // Of a worker that is killed between the count and the write no client has got the response.
      expect(counted).toBeGreaterThanOrEqual(answered);
      expect(counted - answered).toBeLessThanOrEqual(failed);
    }
    expect([...samples.keys()].filter(isCounter).length).toBeGreaterThan(20);
    expect(fallen).toEqual([]);
    rows.push([model, answers, more, failures, scrapes, fallen.length].map((cell) => cell.toLocaleString('en')));
    await done200('POST', '/stop');
    await site.server.noneLeft();
  } finally {
    await site.remove();
  }
});
