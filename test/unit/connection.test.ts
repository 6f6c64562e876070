// For how long a connection has kept the server waiting: what is shed at --max-connections.
import { expect, test } from 'vitest';
import type { IncomingConnection } from '../../src/connection/incoming.ts';
import { Connection } from '../../src/pipeline/connection.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';

/** A connection since the time 0, and its request, whose body is incomplete. */
function connectionOf(response: object) {
  const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  const connection = new Connection({ socket, facts: { requests: 0 } } as unknown as IncomingConnection, 0, false);
  const req = { complete: false, readableLength: 0, readableHighWaterMark: 65_536 };
  const begun = { req, writableFinished: false, destroyed: false, isQueued: false, ...response };
  connection.begin(begun as unknown as PipelineResponse);
  return { connection, begun };
}

test('the server waits for the rest of a body', () => {
  const { connection } = connectionOf({});
  expect(connection.idleFor(3000)).toBe(3000);
});

test('it waits for none while the request waits for a place in the app, and not at once after that', () => {
  const { connection, begun } = connectionOf({ isQueued: true });
  expect(connection.idleFor(3000)).toBe(-1);
  begun.isQueued = false;
  expect(connection.idleFor(3500)).toBe(500);
});

test('it waits for none before it has told the client to send it', () => {
  const waiting = { _expect_continue: true, _sent100: false };
  const { connection, begun } = connectionOf(waiting);
  expect(connection.idleFor(3000)).toBe(-1);
  Object.assign(begun, { _sent100: true });
  expect(connection.idleFor(3500)).toBe(500);
});
