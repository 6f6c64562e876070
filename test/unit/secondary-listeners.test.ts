// What the supervisor opens for workers that run as another user.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { SecondaryAddress, SecondaryAnswer } from '../../src/secondary/address.ts';
import type { SocketUser } from '../../src/secondary/shared-sockets.ts';
import { SecondaryListeners } from '../../src/supervisor/secondary-listeners.ts';

function ask(
  address: SecondaryAddress,
  owner: { uid?: number },
  served: readonly AddressInfo[] = [],
): SecondaryAnswer | undefined {
  const listeners = new SecondaryListeners([], 0, () => served.map((address) => ({ address })));
  let given: SecondaryAnswer | undefined;
  const user: SocketUser = {
    generation: 1,
    secondary: 'all',
    exit: new Promise(() => {}),
    answerSocket: (_, answer) => {
      given = answer;
    },
  };
  try {
    listeners.listen(user, 1, address, owner);
    return given;
  } finally {
    listeners.close();
  }
}

test.runIf(process.getuid?.() === 0)('the supervisor opens nothing that the user of the workers may not', () => {
  const owner = { uid: 65_534 };
  expect(ask({ kind: 'tcp', host: '127.0.0.1', port: 1 }, owner)).toEqual({ code: 'EACCES' });
  expect(ask({ kind: 'unix', path: '/tmp/mpserve-not-made.sock', mode: 0o777 }, owner)).toMatchObject({
    code: 'EACCES',
    reason: expect.stringContaining('--user'),
  });
  expect(ask({ kind: 'tcp', host: '127.0.0.1', port: 0 }, owner)).toHaveProperty('fd');
});

test('what cannot be opened is answered with the code of the system call', () => {
  expect(ask({ kind: 'tcp', host: '192.0.2.1', port: 0 }, {})).toEqual({ code: 'EADDRNOTAVAIL' });
  expect(ask({ kind: 'unix', path: '/nowhere/at/all.sock', mode: 0o600 }, {})).toEqual({ code: 'ENOENT' });
  expect(ask({ kind: 'unix', path: `/tmp/${'x'.repeat(200)}`, mode: 0o600 }, {})).toEqual({ code: 'EINVAL' });
});

test('a port that is in use is said to be our own only if it is', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  try {
    const held = holder.address() as AddressInfo;
    const address = { kind: 'tcp', host: '127.0.0.1', port: held.port } as const;
    expect(ask(address, {})).toEqual({ code: 'EADDRINUSE' });
    expect(ask(address, {}, [{ ...held, port: held.port + 1 }])).toEqual({ code: 'EADDRINUSE' });
    expect(ask(address, {}, [held])).toEqual({
      code: 'EADDRINUSE',
      reason: expect.stringMatching(`^mpserve itself listens on port ${held.port}, .*--serve ${held.port}, `),
    });
  } finally {
    holder.close();
  }
});
