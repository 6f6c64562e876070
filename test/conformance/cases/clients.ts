// Clients that go away, and those that only end their side.
import { expect, test } from 'vitest';
import { type Place, token } from '../target.js';

export function clients({ connect, server }: Place): void {
  const printed = (seen: string, mark: string) =>
    server().waitFor(`"${seen}"`, (line) => line.seen === seen && line.token === mark);
  const answers = async (): Promise<void> => {
    using wire = await connect();
    expect((await wire.ask('GET /')).body).toBe('ok');
  };

  test('the app sees that a client went away in the middle of its request', async () => {
    const mark = token();
    using wire = await connect();
    await wire.write(`POST /until-gone?token=${mark} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nbegun`);
    await printed('waiting', mark);
    wire.close();
    await printed('gone', mark);
    await answers();
  });

  test('the app sees that a client went away while it waited', async () => {
    const mark = token();
    using wire = await connect();
    await wire.request(`GET /until-gone?token=${mark}`);
    await printed('waiting', mark);
    wire.close();
    await printed('gone', mark);
    await answers();
  });

  test('the app sees that a client went away in the middle of its answer', async () => {
    const mark = token();
    using wire = await connect();
    await wire.request(`GET /endless?token=${mark}`);
    expect((await wire.head()).status).toBe(200);
    await wire.skip(1_000_000);
    wire.close();
    await printed('gone', mark);
    await answers();
  });

  test('a client that leaves before it has sent anything disturbs nobody', async () => {
    for (const bytes of ['', 'GET / HT']) {
      using wire = await connect();
      await wire.write(bytes);
      wire.close();
    }
    await answers();
  });

  test('a client that ends its side after the request still gets the answer', async () => {
    using wire = await connect();
    await wire.request('GET /');
    wire.end();
    expect(await wire.response()).toMatchObject({ status: 200, body: 'ok' });
    expect(await wire.rest()).toHaveLength(0);
  });

  // From here a client that has ended its side cannot be told from one that has gone. Node takes it for gone, so
  // that no app works for nobody (`httpAllowHalfOpen` is off), and so must we.
  test('a client that ends its side while the app works counts as gone', async () => {
    const mark = token();
    using wire = await connect();
    await wire.request(`GET /until-gone?token=${mark}`);
    await printed('waiting', mark);
    wire.end();
    await printed('gone', mark);
    expect(await wire.rest()).toHaveLength(0);
  });
}
