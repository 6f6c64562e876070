// The metrics are exact: what clients have been answered is what has been counted, whatever happens to the workers.
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { fallenCounters, type Samples, scrape } from '../helpers/samples.ts';
import { Site } from '../helpers/site.ts';

const okay = 'mpserve_requests_total{method="GET",class="2xx"}';

describe.concurrent.each([
  ['ppc'],
  ['prefork', '--workers', '2'],
  ['tpc'],
  ['prethread', '--threads', '2'],
  ['hybrid', '--workers', '2', '--threads', '2'],
])('%s', (model, ...args) => {
  test('counts each answer through reloads, deaths, a switch and an upgrade, and no counter falls', async () => {
    const site = await Site.start(model, [...args, '--admin', 'unix:SOCKET']);
    try {
      const clients = [new Clients(site.server.url, 2, 'one-each'), new Clients(site.server.url, 2, 'kept-alive')];
      let isOver = false;
      const fallen: string[] = [];
      const scraping = (async () => {
        let last: Samples = new Map();
        while (!isOver) {
          const samples = await scrape(site);
          fallen.push(...fallenCounters(last, samples));
          last = samples;
        }
      })();
      const further = async (): Promise<void> => {
        const since = clients.map(({ done }) => done);
        await eventually('further answers', () => clients.every(({ done }, i) => done > (since[i] as number) + 20));
      };
      await further();
      expect((await site.ask('POST', '/reload')).status).toBe(200);
      await further();
      const { json: workers } = await site.ask('GET', '/workers');
      for (const { pid } of workers.slice(0, 1)) process.kill(pid, 'SIGKILL');
      await further();
      expect((await site.ask('POST', '/switch', '{"options": {"model": "prefork"}}')).status).toBe(200);
      await further();
      const { json: before } = await site.ask('GET', '/status');
      expect((await site.ask('POST', '/upgrade')).status).toBe(200);
      await eventually('the old server to exit', () => !isAlive(before.pid));
      await further();
      const counts = await Promise.all(clients.map((one) => one.stop()));
      const answered = counts.reduce((sum, one) => sum + one.answered, 0);
      const failed = counts.reduce((sum, one) => sum + one.failures.length + one.reconnects, 0);
      isOver = true;
      await scraping;
      expect(fallen).toEqual([]);
      const samples = await scrape(site);
      expect(samples.get('mpserve_exits_total{unit="process",cause="upgrade"}')).toBeGreaterThan(0);
      const counted = samples.get(okay) as number;
      // A worker that is killed between the count and the write has counted an answer that no client has got.
      expect(counted).toBeGreaterThanOrEqual(answered);
      expect(counted - answered).toBeLessThanOrEqual(failed);
      expect(samples.get('mpserve_request_duration_seconds_count')).toBeGreaterThan(answered - failed - 50);
      expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
      await site.server.noneLeft();
    } finally {
      await site.remove();
    }
  });
});
