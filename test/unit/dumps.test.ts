// Profiles and heap snapshots as the supervisor passes them on, of a worker that a test plays: their limits, and what is
// left behind.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { Refused } from '../../src/control/refused.ts';
import { deferred } from '../../src/deferred.ts';
import type { ServerEvent } from '../../src/events.ts';
import { closeDescriptor } from '../../src/os/descriptor.ts';
import { type DumpLimits, Dumps } from '../../src/supervisor/dumps.ts';

type Write = (fd: number) => Promise<string | undefined>;

const roomy: DumpLimits = { bytes: 1_000_000, ms: 600_000 };
const never = new AbortController().signal;

/** @param dumpings what the worker does with the descriptor, one after another; each closes it */
function dumpsOf(limits: DumpLimits, ...dumpings: Write[]) {
  const events: ServerEvent[] = [];
  const worker = {
    id: 1,
    route: undefined,
    pid: 4001,
    dump: (_: unknown, fd: number) => (dumpings.shift() as Write)(fd),
  };
  const dumps = new Dumps({ workers: () => [worker], events: { tell: (event) => void events.push(event) } }, limits);
  return { dumps, reasons: () => events.flatMap((event) => (event.event === 'dump-failed' ? [event.reason] : [])) };
}

const writes =
  (content: string): Write =>
  async (fd) => {
    writeSync(fd, content);
    closeDescriptor(fd);
    return undefined;
  };
const sound = writes('{}');

const take = async (dumps: Dumps, signal = never): Promise<string> =>
  text((await dumps.open('heap', {}, signal)).content);

test('what the worker writes is passed on', async () => {
  const { dumps, reasons } = dumpsOf(roomy, writes('{"nodes":[]}'), sound);
  expect(await take(dumps)).toBe('{"nodes":[]}');
  expect(await take(dumps)).toBe('{}');
  expect(reasons()).toEqual([]);
});

test('one that is larger than the limit is cut, and the next one can begin', async () => {
  const isBegun = deferred<void>();
  const { dumps, reasons } = dumpsOf(
    { ...roomy, bytes: 1024 },
    async (fd) => {
      writeSync(fd, 'x'.repeat(1024));
      await isBegun.promise;
      return writes('x')(fd);
    },
    sound,
  );
  const { content, over } = await dumps.open('heap', {}, never);
  isBegun.resolve();
  await expect(text(content)).rejects.toThrow(/^it is larger than \S+ GiB$/);
  expect(over.aborted).toBe(true);
  expect(reasons()).toEqual([expect.stringMatching(/^it is larger than /)]);
  expect(await take(dumps)).toBe('{}');
});

test('one that takes too long is given up, and the next one can begin', async () => {
  let left = -1;
  const { dumps, reasons } = dumpsOf(
    { ...roomy, ms: 20 },
    (fd) => {
      left = fd;
      return new Promise(() => {});
    },
    sound,
  );
  await expect(take(dumps)).rejects.toThrow('the heap snapshot of worker 1 (pid 4001) failed: it took too long');
  expect(reasons()).toEqual(['it took too long']);
  closeDescriptor(left);
  expect(await take(dumps)).toBe('{}');
});

test('one whose caller has gone before it begins keeps no other one from beginning', async () => {
  const { dumps } = dumpsOf(roomy, sound);
  await expect(take(dumps, AbortSignal.abort())).rejects.toThrow('its caller has gone');
  expect(await take(dumps)).toBe('{}');
});

test('one that is given up as the server is replaced says so, and no other one begins', async () => {
  const isGiven = deferred<number>();
  const { dumps, reasons } = dumpsOf(roomy, (fd) => {
    isGiven.resolve(fd);
    return new Promise(() => {});
  });
  const taking = take(dumps);
  const fd = await isGiven.promise;
  dumps.close('an upgrade replaces the server');
  await expect(taking).rejects.toThrow(/failed: an upgrade replaces the server$/);
  closeDescriptor(fd);
  expect(reasons()).toEqual(['an upgrade replaces the server']);
  await expect(take(dumps)).rejects.toThrow(Refused);
});
