// The state of a server as text: the same on the control socket, on the admin server, and from mpserve ctl.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, read } from '../helpers/control.ts';
import { runCli, startServer } from '../helpers/server.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-text-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Without what grows while the test asks. */
const settled = (text: string): string =>
  text
    .replace(/^(uptime +).*,/gm, '$1')
    .replace(/[\d.]+ (?:s|MB|min|%)|[\d.]+\/[\d.]+ ms|–/g, '…')
    .replace(/ +/g, ' ');

test.concurrent('in every place', async () => {
  const control = path.join(folder, 'app.ctl');
  await using server = await startServer({ args: ['--workers', '2', '--control', control, '--admin', '0'] });
  const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  for (const query of ['status', 'workers']) {
    const ofAdmin = await fetch(`${url}/${query}?format=text`);
    expect(ofAdmin.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const text = settled(await ofAdmin.text());
    expect(text).toMatch(
      query === 'status' ? /^state serving\napp / : /^worker pid .*\n1 \d+ 1 ready .*\n2 \d+ 1 ready /,
    );
    expect(settled((await read(control, `/${query}?format=text`)).text)).toBe(text);
    expect(settled((await runCli(['ctl', query, '--control', control])).stdout)).toBe(text);
    const json = (await (await fetch(`${url}/${query}?format=json`)).json()) as object;
    expect(Object.keys(json)).toEqual(Object.keys((await ask(control, 'GET', `/${query}`)).json));
  }
  expect(await read(control, '/quarantine?format=text')).toEqual({
    status: 200,
    text: 'no request is suspected of killing workers\n',
  });
});

test.concurrent('another query string is refused, with what is allowed', async () => {
  const control = path.join(folder, 'refusing.ctl');
  await using server = await startServer({ args: ['--control', control, '--admin', '0'] });
  const { url } = await server.waitFor('the admin server', ({ event }) => event === 'admin-ready');
  const allowed = 'takes no query string but ?format=text and ?format=json\n';
  for (const wrong of ['format=xml', 'format', 'format=text&x', 'x', 'format=text?']) {
    const ofAdmin = await fetch(`${url}/status?${wrong}`);
    expect([ofAdmin.status, await ofAdmin.text()]).toEqual([400, `/status ${allowed}`]);
    expect(await read(control, `/workers?${wrong}`)).toEqual({ status: 400, text: `/workers ${allowed}` });
  }
  expect(await read(control, '/config?format=text')).toEqual({
    status: 400,
    text: '/config takes no query string but ?format=json\n',
  });
  expect(await ask(control, 'POST', '/reload?now')).toEqual({
    status: 400,
    json: { ok: false, error: '/reload takes no query string' },
  });
});
