// A worker as its host sees it, over a unit that a test plays: the same for processes and threads.
import { expect, test, vi } from 'vitest';
import type { IncomingConnection } from '../../src/connection/incoming.ts';
import { closeDescriptor, socketPair } from '../../src/os/descriptor.ts';
import type { ExitCause } from '../../src/reports/exit-cause.ts';
import type { RequestInFlight } from '../../src/reports/report.ts';
import type { DumpMessage, FromWorker, SocketMessage, ToWorker } from '../../src/worker/messages.ts';
import type { Unit, UnitExit } from '../../src/worker/runtime.ts';
import { Worker } from '../../src/worker/worker.ts';

class PlayedUnit implements Unit {
  readonly pid = 1;
  readonly tid = 0;
  readonly exitGraceMs = 1000;
  readonly memory = 0;
  readonly wantedCpuMs = undefined;
  readonly accepted = 0;
  waitsForEvents: boolean | undefined;
  readonly sent: ToWorker[] = [];
  readonly handedOver: number[] = [];
  handled = 0;
  isKilled = false;
  say = (_: FromWorker): void => {};
  handOver = (): boolean => true;
  exit = (_: Partial<UnitExit> = {}): void => {};
  readonly exited = new Promise<UnitExit>((exited) => {
    this.exit = (how) => exited({ code: 0, signal: null, reason: 'it exited with code 0', requests: [], ...how });
  });

  requests: readonly RequestInFlight[] = [];
  inFlight(): readonly RequestInFlight[] {
    return this.requests;
  }
  listen(listener: (message: FromWorker) => void): void {
    this.say = listener;
  }
  send(message: ToWorker): void {
    this.sent.push(message);
  }
  hand(_: IncomingConnection, id: number): boolean {
    this.handedOver.push(id);
    return this.handOver();
  }
  sendSocket(message: SocketMessage): void {
    this.send(message);
  }
  sendDump(message: DumpMessage): void {
    this.send(message);
  }
  mayBlock = false;
  setMayBlock(mayBlock: boolean): void {
    this.mayBlock = mayBlock;
  }
  isWatched = false;
  watch(): void {
    this.isWatched = true;
  }
  kill(): void {
    this.isKilled = true;
  }
  /** The event loop comes to something at this moment. */
  beforeRevoke = (): void => {};
  revoke(handed: number): number | undefined {
    this.beforeRevoke();
    const { handled } = this;
    if (handled === handed) return undefined;
    this.handled = handed;
    return handled;
  }
}

const listener = { tell: () => {}, killed: () => {}, listen: () => {}, unlisten: () => {} };
const start = {
  id: 1,
  generation: 1,
  warmsUp: false,
  isKnownReady: false,
  isHeld: false,
  secondary: 'all',
  maxConnections: 10,
} as const;
const connectionThat = (isUnread: boolean) => ({ isUnread, close() {} }) as unknown as IncomingConnection;
const connection = connectionThat(false);

function started() {
  const unit = new PlayedUnit();
  const options = { ...start, bootMs: 60_000, isMeasured: false, accepts: [], maxConnections: 1 };
  const worker = new Worker({ ...options, unit, listener });
  unit.say({ type: 'ready' });
  return { unit, worker };
}

test('two questions at the same time each get their own answer, in any order', async () => {
  const { unit, worker } = started();
  const answers = [worker.idleFor(60_000), worker.idleFor(60_000), worker.reopen('/log')];
  const ids = unit.sent.flatMap((message) => ('id' in message ? [message.id] : []));
  expect(new Set(ids).size).toBe(3);
  const [first = 0, second = 0, third = 0] = ids;
  unit.say({ type: 'answer', id: third, failure: 'no such folder' });
  unit.say({ type: 'answer', id: second, ms: 2 });
  unit.say({ type: 'answer', id: first, ms: 1 });
  expect(await Promise.all(answers.slice(0, 2))).toEqual([1, 2]);
  await expect(answers[2]).rejects.toThrow('no such folder');
  unit.exit();
});

test('a question that is not answered in time, or whose worker ends, has no answer', async () => {
  const { unit, worker } = started();
  expect(await worker.idleFor(1)).toBe(-1);
  const idle = worker.idleFor(60_000);
  unit.exit();
  expect(await idle).toBe(-1);
  await expect(worker.reopen('/log')).resolves.toBeUndefined();
});

test('a connection is taken, and ends; a refused one is the caller’s again', async () => {
  const { unit, worker } = started();
  const taken = worker.give(connection);
  const refused = worker.give(connection);
  unit.handled = 2;
  unit.say({ type: 'taken', id: 1 });
  unit.say({ type: 'refused', id: 2 });
  expect(await refused).toBe('refused');
  const given = await taken;
  expect(worker.active).toBe(1);
  unit.say({ type: 'ended', id: 1 });
  await (given as { ended: Promise<string> }).ended;
  expect(worker.active).toBe(0);
  unit.exit();
});

test('when a worker ends, what it had taken has ended, and what it had not is refused', async () => {
  const { unit, worker } = started();
  const [first, second] = [worker.give(connection), worker.give(connection)];
  unit.handled = 1; // a thread says so in shared memory
  unit.exit({ code: 1 });
  expect(await first).toHaveProperty('ended');
  expect(await second).toBe('refused');
  expect(await worker.exit).toMatchObject({ code: 1, isWanted: false, connections: 2 });
  expect(await worker.give(connection)).toBe('refused');
});

test('when a worker dies, what it had not read from is the caller’s again, unless it had been told to end', async () => {
  for (const isToldToEnd of [false, true]) {
    const { unit, worker } = started();
    const all = [worker.give(connectionThat(true)), worker.give(connectionThat(false))];
    unit.handled = 2;
    for (const id of [1, 2]) unit.say({ type: 'taken', id });
    const [unread, read] = (await Promise.all(all)) as { ended: Promise<string> }[];
    if (isToldToEnd) worker.drain(60_000, 'stop');
    unit.exit({ code: 1 });
    expect(await unread?.ended).toBe(isToldToEnd ? 'over' : 'unread');
    expect(await read?.ended).toBe('over');
    expect(await worker.exit).toMatchObject({ connections: isToldToEnd ? 2 : 1 });
  }
});

test('what comes from a worker that has ended is not heard', async () => {
  const unit = new PlayedUnit();
  const options = { ...start, bootMs: 60_000, isMeasured: false, accepts: [] };
  const worker = new Worker({ ...options, unit, listener });
  unit.exit({ code: 1 });
  await worker.exit;
  unit.say({ type: 'ready' });
  expect([worker.stage, unit.isWatched]).toEqual(['gone', false]);
});

test('connections that a blocked worker has not come to are taken back, and it gets none until it has seen that', async () => {
  const { unit, worker } = started();
  const given = [worker.give(connection), worker.give(connection), worker.give(connection)];
  unit.handled = 1;
  unit.say({ type: 'ended', id: 1 });
  worker.revoke();
  expect(await given[1]).toBe('refused');
  expect(await given[2]).toBe('refused');
  expect(worker.isUnresponsive).toBe(true);
  unit.say({ type: 'ended', id: 2 });
  expect(worker.isUnresponsive).toBe(true);
  unit.say({ type: 'ended', id: 3 });
  expect(worker.isUnresponsive).toBe(false);
  unit.exit();
});

test('a connection that the worker comes to while it is asked for those that wait stays with it', async () => {
  const { unit, worker } = started();
  const [first, second] = [worker.give(connection), worker.give(connection)];
  unit.beforeRevoke = () => {
    unit.handled = 1;
  };
  worker.revoke();
  expect(await second).toBe('refused');
  unit.say({ type: 'ended', id: 1 });
  expect(await first).toHaveProperty('ended');
  unit.exit();
});

test('what a worker says about connections that it was never given changes nothing', async () => {
  const { unit, worker } = started();
  for (const id of [1, 2, 1e9]) {
    unit.say({ type: 'taken', id });
    unit.say({ type: 'ended', id });
    unit.say({ type: 'refused', id });
  }
  const given = worker.give(connection);
  unit.say({ type: 'ended', id: 1 }); // before it has taken it
  expect(worker.active).toBe(1);
  unit.handled = 1;
  unit.say({ type: 'taken', id: 1 });
  expect(await given).toHaveProperty('ended');
  unit.exit();
});

test('a connection that cannot be handed over leaves no trace', async () => {
  const { unit, worker } = started();
  unit.handOver = () => false; // its client has gone
  expect(await worker.give(connection)).toBe('gone');
  unit.handOver = () => {
    throw new Error('EMFILE');
  };
  await expect(worker.give(connection)).rejects.toThrow('EMFILE');
  unit.handOver = () => true;
  const given = worker.give(connection);
  unit.handled = 1;
  unit.say({ type: 'taken', id: 1 });
  expect(await given).toHaveProperty('ended');
  expect(worker.active).toBe(1);
  expect(unit.handedOver).toEqual([1, 1, 1]);
  unit.exit();
});

test('a migration policy is sent when it changes, and off stays off', () => {
  const { unit, worker } = started();
  const policies = () => unit.sent.flatMap((message) => (message.type === 'migration' ? [message.policy] : []));
  worker.setMigration({ receives: true });
  worker.setMigration({ receives: true });
  worker.setMigration({ send: { rebalance: 0.5 } });
  worker.setMigration({ send: { rebalance: 0.5 } });
  worker.setMigration({ send: 'off' });
  worker.setMigration({ send: { rebalance: 0.5 } });
  expect(policies()).toEqual([
    { send: 'drain', receives: true },
    { send: { rebalance: 0.5 }, receives: true },
    { send: { rebalance: 0.5 }, receives: true },
    { send: 'off', receives: true },
  ]);
  unit.exit();
});

test('a worker that drains is told when no other worker serves any more', () => {
  const { unit, worker } = started();
  worker.drain(60_000, 'reload', true);
  worker.drain(60_000, 'stop');
  const drains = unit.sent.filter(({ type }) => type === 'drain');
  expect(drains).toEqual([
    { type: 'drain', ms: 60_000, othersServe: true },
    { type: 'drain', ms: 60_000, othersServe: false },
  ]);
  unit.exit();
});

test('a worker that was told to end and one that ends by itself differ', async () => {
  const told = started();
  told.worker.drain(60_000, 'stop');
  expect(told.unit.sent.at(-1)).toEqual({ type: 'drain', ms: 60_000, othersServe: false });
  told.unit.exit();
  expect((await told.worker.exit).isWanted).toBe(true);
  const young = new PlayedUnit();
  const options = { ...start, bootMs: 60_000, isMeasured: false, accepts: [], maxConnections: 1 };
  const worker = new Worker({ ...options, unit: young, listener });
  young.exit({ code: 3, reason: 'it exited with code 3' });
  await expect(worker.ready).rejects.toThrow('it exited with code 3 (does it call process.exit?)');
});

test.each([
  ['blocks its event loop while it loads the app', () => {}],
  [
    'has failed and does not exit',
    (unit: PlayedUnit) => unit.say({ type: 'failed', exitCode: 4, message: 'no database', stack: '' }),
  ],
])('a worker that %s is killed, and nobody has told it to end', async (_, play) => {
  vi.useFakeTimers();
  try {
    const unit = new PlayedUnit();
    const worker = new Worker({ ...start, bootMs: 1000, isMeasured: false, accepts: [], unit, listener });
    play(unit);
    vi.advanceTimersByTime(2500);
    expect(unit.isKilled).toBe(true);
    unit.exit({ code: null, signal: 'SIGKILL', reason: 'it was ended by SIGKILL' });
    expect((await worker.exit).isWanted).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

test('a heap snapshot may block the event loop until it has been written; a profile may not', async () => {
  for (const kind of ['heap', 'profile'] as const) {
    const { unit, worker } = started();
    const [ours, theirs] = socketPair();
    const dumping = worker.dump({ kind, ms: 0 }, theirs);
    const answer = (type: ToWorker['type'], failure?: string): void => {
      const question = unit.sent.find((message) => message.type === type);
      expect(question).toHaveProperty('id');
      const { id } = question as { id: number };
      unit.say({ type: 'answer', id, ...(failure !== undefined && { failure }) });
    };
    answer('idle');
    await new Promise(setImmediate);
    expect(unit.mayBlock).toBe(kind === 'heap');
    answer('dump', 'no memory');
    expect(await dumping).toBe('no memory');
    expect(unit.mayBlock).toBe(false);
    closeDescriptor(ours);
  }
});

test('a dump ends with its worker', async () => {
  const { unit, worker } = started();
  const [ours, theirs] = socketPair();
  const dumping = worker.dump({ kind: 'profile', ms: 1000 }, theirs);
  unit.exit();
  expect(await dumping).toBe('it has ended');
  expect(unit.sent.filter(({ type }) => type === 'dump')).toEqual([]);
  closeDescriptor(ours);
});

test.each<[string, ExitCause, (unit: PlayedUnit, worker: Worker) => void]>([
  ['was told to end', 'recycled', (unit, worker) => worker.drain(60_000, 'recycled') ?? unit.exit()],
  [
    'was told twice',
    'reload',
    (unit, worker) => {
      worker.drain(9, 'reload', true);
      worker.drain(9, 'stop');
      unit.exit();
    },
  ],
  ['was killed with its strategy', 'stop', (unit, worker) => worker.kill() ?? unit.exit({ signal: 'SIGKILL' })],
  ['exits with code 0', 'exit', (unit) => unit.exit()],
  ['exits with another code', 'crash', (unit) => unit.exit({ code: 1 })],
  ['is ended by a signal', 'signal', (unit) => unit.exit({ code: null, signal: 'SIGSEGV' })],
  ['is killed as it hangs', 'hang', (unit) => unit.exit({ signal: 'SIGKILL', cause: 'hang' })],
  ['has no heap left', 'out-of-memory', (unit) => unit.exit({ code: 1, cause: 'out-of-memory' })],
])('of a worker that %s, the cause is %s', async (_, expected, end) => {
  const unit = new PlayedUnit();
  const options = { ...start, bootMs: 60_000, isMeasured: false, accepts: [], maxConnections: 1 };
  const causes: ExitCause[] = [];
  const worker = new Worker({ ...options, unit, listener: { ...listener, ended: (_, cause) => causes.push(cause) } });
  unit.say({ type: 'ready' });
  end(unit, worker);
  await worker.exit;
  expect(causes).toEqual([expected]);
});

test('of a worker that ends before it is ready, the cause is boot', async () => {
  const unit = new PlayedUnit();
  const options = { ...start, bootMs: 60_000, isMeasured: false, accepts: [], maxConnections: 1 };
  const causes: ExitCause[] = [];
  const worker = new Worker({ ...options, unit, listener: { ...listener, ended: (_, cause) => causes.push(cause) } });
  unit.exit({ code: 4 });
  await worker.exit;
  expect(causes).toEqual(['boot']);
});

test('a worker that does not say what it is doing is blocked, with its requests in flight', async () => {
  const { unit, worker } = started();
  const request = { reqId: 'r', method: 'GET', url: '/', ageMs: 5 };
  unit.requests = [request];
  const [view] = await worker.look('briefly', 1);
  expect(view).toMatchObject({ tid: 0, state: 'blocked', inFlight: 1, oldest: [request] });
  const looking = worker.look('briefly', 60_000);
  const { id } = unit.sent.findLast(({ type }) => type === 'look') as { id: number };
  unit.say({ type: 'answer', id, views: [] });
  expect(await looking).toEqual([]);
});

test('a worker whose code cannot be interrupted has no stack, but its requests in flight', async () => {
  const { unit, worker } = started();
  const requests = Array.from({ length: 10 }, (_, i) => ({ reqId: `r${i}`, method: 'GET', url: '/', ageMs: i }));
  unit.requests = requests;
  Object.assign(unit, { interrupt: () => 'stopped' });
  const [loop] = await worker.stacks();
  expect(loop).toMatchObject({ tid: 0, state: 'blocked', unreadable: 'stopped', stack: [], inFlight: 10 });
  expect(loop?.oldest.map(({ reqId }) => reqId)).toEqual(['r9', 'r8', 'r7', 'r6', 'r5', 'r4', 'r3', 'r2']);
});
