// Who of several workers gets the socket of a secondary server, and when it is closed.
import { beforeEach, expect, test } from 'vitest';
import type { SecondaryAddress, SecondaryAnswer, SecondaryRole } from '../../src/secondary/address.ts';
import { maxSockets, SharedSockets, type SocketUser } from '../../src/secondary/shared-sockets.ts';

class PlayedUser implements SocketUser {
  readonly answers: [id: number, answer: SecondaryAnswer][] = [];
  end = (): void => {};
  readonly exit = new Promise<void>((resolve) => {
    this.end = resolve;
  });
  constructor(
    readonly secondary: SecondaryRole = 'all',
    readonly generation = 1,
  ) {}
  answerSocket(id: number, answer: SecondaryAnswer): void {
    this.answers.push([id, answer]);
  }
  get accepts(): boolean {
    return this.answers.some(([, answer]) => 'fd' in answer);
  }
}

const at = (port: number): SecondaryAddress => ({ kind: 'tcp', port });
const address = { address: '::', family: 'IPv6', port: 80 };
let opened: number[];
let closed: number[];
let sockets: SharedSockets;
beforeEach(() => {
  opened = [];
  closed = [];
  sockets = new SharedSockets((asked, told) => {
    const { port } = asked as SecondaryAddress & { kind: 'tcp' };
    if (port === 1) told({ code: 'EACCES' });
    else {
      opened.push(port);
      told({ address, fd: port });
    }
    return () => closed.push(port);
  });
});

test('all workers get the same socket, and each address has its own', () => {
  const [one, other] = [new PlayedUser(), new PlayedUser()];
  sockets.listen(one, 1, at(80));
  sockets.listen(other, 7, at(80));
  sockets.listen(other, 8, at(90));
  expect(opened).toEqual([80, 90]);
  expect(one.answers).toEqual([[1, { address, fd: 80 }]]);
  expect(other.answers).toEqual([
    [7, { address, fd: 80 }],
    [8, { address, fd: 90 }],
  ]);
});

test('a second server of a worker on the same address is refused, and so is what cannot be opened', () => {
  const one = new PlayedUser();
  sockets.listen(one, 1, at(80));
  sockets.listen(one, 2, at(80));
  sockets.listen(one, 3, at(1));
  sockets.listen(one, 4, at(1));
  expect(one.answers.slice(1)).toEqual([
    [2, { code: 'EADDRINUSE' }],
    [3, { code: 'EACCES' }],
    [4, { code: 'EACCES' }],
  ]);
  sockets.unlisten(one, 1, true);
  expect(closed).toEqual([80]);
});

test('more than the limit are refused, until others are closed', () => {
  const one = new PlayedUser();
  for (let i = 0; i <= maxSockets; i++) sockets.listen(one, i, at(1000 + i));
  expect(one.answers.at(-1)).toMatchObject([maxSockets, { code: 'ERR_MPSERVE_TOO_MANY_SOCKETS' }]);
  sockets.unlisten(one, 0, true);
  sockets.listen(one, 999, at(5000));
  expect(one.answers.at(-1)).toEqual([999, { address, fd: 5000 }]);
});

test('with first-worker one accepts at a time; the newest of the others is next', async () => {
  const [one, other] = [new PlayedUser('first-worker'), new PlayedUser('first-worker')];
  const newest = new PlayedUser('first-worker', 2);
  for (const user of [one, other, newest]) sockets.listen(user, 1, at(80));
  expect([one, other, newest].map(({ accepts }) => accepts)).toEqual([true, false, false]);
  expect(other.answers).toEqual([[1, { address }]]);
  sockets.unlisten(one, 1, false);
  expect([other, newest].map(({ accepts }) => accepts)).toEqual([false, true]);
  newest.end();
  await newest.exit;
  expect(other.accepts).toBe(true);
  expect(closed).toEqual([]);
});

test('a worker that is for one connection never accepts', () => {
  const [one, resident] = [new PlayedUser('none'), new PlayedUser('all')];
  sockets.listen(one, 1, at(80));
  sockets.listen(resident, 1, at(80));
  expect([one.accepts, resident.accepts]).toEqual([false, true]);
});

test('a socket stays open when its workers leave, until another generation serves that has not asked', async () => {
  const one = new PlayedUser();
  sockets.listen(one, 1, at(80));
  sockets.listen(one, 2, at(90));
  sockets.keepOnly(1);
  one.end();
  await one.exit;
  expect(closed).toEqual([]);
  const next = new PlayedUser('all', 2);
  sockets.listen(next, 1, at(80));
  sockets.keepOnly(2);
  expect(closed).toEqual([90]);
  expect(opened).toEqual([80, 90]);
});

test('a socket that only an old generation listens on is closed when that has gone', async () => {
  const [old, next] = [new PlayedUser('all', 1), new PlayedUser('all', 2)];
  sockets.listen(old, 1, at(80));
  sockets.listen(old, 2, at(90));
  sockets.keepOnly(1);
  sockets.listen(next, 1, at(80));
  sockets.keepOnly(2);
  expect(closed).toEqual([]);
  sockets.unlisten(old, 2, false);
  old.end();
  await old.exit;
  expect(closed).toEqual([90]);
});

test('a generation that failed takes its own sockets with it, and leaves the others', async () => {
  const [old, next] = [new PlayedUser('all', 1), new PlayedUser('all', 2)];
  sockets.listen(old, 1, at(80));
  sockets.keepOnly(1);
  sockets.listen(next, 1, at(80));
  sockets.listen(next, 2, at(90));
  next.end();
  await next.exit;
  sockets.keepOnly(1);
  old.end();
  await old.exit;
  expect(closed).toEqual([90]);
});

test('when all has been closed, a worker whose app still loads is not kept waiting', () => {
  const [early, late] = [new PlayedUser(), new PlayedUser()];
  const unanswered = new SharedSockets(() => () => {});
  unanswered.listen(early, 1, at(80));
  unanswered.close();
  unanswered.listen(late, 2, { kind: 'unix', path: '/run/x.sock', mode: 0o777 });
  expect(early.answers).toEqual([[1, { address }]]);
  expect(late.answers).toEqual([[2, { address: '/run/x.sock' }]]);
});

test('an inherited socket is given to who asks for its address', () => {
  sockets.adopt(at(80), { address, fd: 5 }, 3, () => closed.push(80));
  sockets.adopt(at(90), { address, fd: 6 }, 3, () => closed.push(90));
  const next = new PlayedUser('all', 4);
  sockets.listen(next, 1, at(80));
  expect(next.answers).toEqual([[1, { address, fd: 5 }]]);
  expect(opened).toEqual([]);
  sockets.keepOnly(4);
  expect(closed).toEqual([90]);
});
