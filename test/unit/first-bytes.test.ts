// What has arrived on a connection, seen without reading it.
import { writeSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { awaitFirstBytes, giveUpWaiting, takeFirstBytes } from '../../src/connection/first-bytes.ts';
import { closeDescriptor, socketPair } from '../../src/os/descriptor.ts';
import { within } from '../helpers/eventually.ts';

const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) closeDescriptor(fd);
});

function pair(): readonly [server: number, client: number] {
  const fds = socketPair();
  open.push(...fds);
  return fds;
}

const line = (bytes: Buffer): string | undefined => /^.*\n/.exec(bytes.toString())?.[0];
const long = 600_000;

test('is there at once, or comes in parts, and stays until it is taken', async () => {
  const [server, client] = pair();
  const seen = awaitFirstBytes(server, long, line);
  writeSync(client, 'ab');
  writeSync(client, 'c\nrest\n');
  expect(await within('the line', seen)).toBe('abc\n');
  expect(await awaitFirstBytes(server, long, line)).toBe('abc\n');
  expect(takeFirstBytes(server, 4)).toBe(true);
  expect(await awaitFirstBytes(server, long, line)).toBe('rest\n');
});

test('may not come', async () => {
  const [server] = pair();
  expect(await awaitFirstBytes(server, 1, line)).toBe('late');
  const [other, client] = pair();
  const seen = awaitFirstBytes(other, long, line);
  closeDescriptor(open.splice(open.indexOf(client), 1)[0] as number);
  expect(await within('the end', seen)).toBe('closed');
});

test('is given up for one waiter, and the others go on waiting', async () => {
  const [of1] = pair();
  const [of2, client] = pair();
  const [waiter1, waiter2] = [{}, {}];
  const first = awaitFirstBytes(of1, long, line, waiter1);
  const second = awaitFirstBytes(of2, long, line, waiter2);
  giveUpWaiting(waiter1);
  expect(await first).toBe('late');
  writeSync(client, 'abc\n');
  expect(await within('the line', second)).toBe('abc\n');
});
