// More clients than may be served at the same time, and as many as may: all of them are served in the end.
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { forPlacements, ofConnections } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const limit = 4;
const late = 8;

forPlacements(({ model, accept, args = [] }) => {
  test('at --max-connections the next clients wait, and are served when others have gone', async () => {
    await using server = await startServer({
      app: fixture('life.cjs'),
      model,
      ...(accept && { accept }),
      args: [...args, '--max-connections', `${limit}`],
    });
    const order: string[] = [];
    const ask = async (name: string, target: string): Promise<number> => {
      using wire = await connect(server.url);
      await wire.request(`GET ${target}`, { connection: 'close' });
      const { status } = await wire.response();
      order.push(name);
      return status;
    };
    // Two of them end much later: a place is given to the next as soon as it is free.
    const busy = [600, 600, 2000, 2000].map((ms) => ask('busy', `/wait?ms=${ms}`));
    const arrived = () => server.lines.filter(({ seen }) => seen === 'arrived').length;
    await eventually('all places to be taken', () => arrived() === limit);
    const waiting = Array.from({ length: late }, () => ask('late', '/'));

    expect(await Promise.all([...busy, ...waiting])).toEqual(Array(limit + late).fill(200));
    expect(order[0]).toBe('busy');
    expect(order.indexOf('late')).toBeLessThan(order.lastIndexOf('busy'));
  });
}, ofConnections);

const sizes: readonly (readonly [count: number, tags: string[]])[] = [
  [32, []],
  [256, ['long']],
];
for (const [count, tags] of sizes) {
  test(`${count} connections at the same time have ${count} processes in ppc, which end with them`, {
    tags,
  }, async () => {
    await using server = await startServer({
      app: fixture('life.cjs'),
      model: 'ppc',
      args: ['--keep-alive-timeout', '10m', '--probation', '0'], // no spare at first
    });
    const wires = await Promise.all(Array.from({ length: count }, () => connect(server.url)));
    try {
      await Promise.all(wires.map((wire) => wire.request('GET /')));
      await eventually('an answer to each', () => wires.every(({ socket }) => socket.bytesRead > 0));
      const answers = await Promise.all(wires.map((wire) => wire.response()));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(count);
      expect(server.workers()).toHaveLength(count);
    } finally {
      for (const wire of wires) wire.close();
    }
    await eventually('the processes to end', () => server.workers().length === 0);
    await server.stop();
    expect(server.lines.at(-1)).toMatchObject({ event: 'stopped', requests: count });
    expect(server.lines.filter(({ level, event }) => Number(level) > 30 && event !== 'warning')).toEqual([]);
  });
}
