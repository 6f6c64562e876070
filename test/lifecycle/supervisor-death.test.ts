// When the supervisor is killed, nobody is left to clean up: its workers must go by themselves, the stuck ones, too.
import { expect, test } from 'vitest';
import { forPlacements } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

forPlacements((placement) => {
  test('after kill -9 of the supervisor every process of it ends, even one that hangs', async () => {
    const server = await startServer({ ...placement, app: fixture('life.cjs') });
    try {
      using busy = await connect(server.url);
      await busy.request('GET /wait?ms=600000');
      await server.waitFor('a request to arrive', ({ seen, url }) => seen === 'arrived' && url !== '/hang');
      // In a pool a worker or two; the model decides which.
      using hanging = await connect(server.url);
      await hanging.request('GET /hang');
      await server.waitFor('the app to hang', ({ seen, url }) => seen === 'arrived' && url === '/hang');
      expect(server.tree().length).toBeGreaterThan(0);
      server.child.kill('SIGKILL');
      await server.noneLeft();
      expect(await busy.rest()).toHaveLength(0);
      expect(await hanging.rest()).toHaveLength(0);
    } finally {
      await server.kill();
    }
  });
});
