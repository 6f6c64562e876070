// The metrics are exact: what clients have been answered is what has been counted, whatever happens to the workers.
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { sizedModels } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { fallenCounters, type Samples, scrape } from '../helpers/samples.ts';
import { Site } from '../helpers/site.ts';

const okay = 'mpserve_requests_total{method="GET",class="2xx"}';

const title = 'counts each answer through reloads, deaths, a switch and an upgrade, and no counter falls';
for (const { model, args, tags } of sizedModels) {
  test.concurrent(`${model} ${title}`, { tags }, async () => {
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
      // The status tells the same.
      const { starts, exits } = (await site.ask('GET', '/status')).json;
      for (const [unit, count] of [
        ['process', starts.processes],
        ['thread', starts.threads],
      ])
        expect(samples.get(`mpserve_starts_total{unit="${unit}"}`)).toBe(count);
      for (const { unit, cause, count } of exits)
        expect(samples.get(`mpserve_exits_total{unit="${unit}",cause="${cause}"}`)).toBe(count);
      const causes = exits.map(({ cause }: { cause: string }) => cause);
      expect(causes).toEqual(expect.arrayContaining(['signal', 'upgrade']));
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
}
