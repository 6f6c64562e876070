// For how long a connection has kept the server waiting: what is shed at --max-connections; and its pipelined requests.
import { describe, expect, test } from 'vitest';
import type { IncomingConnection } from '../../src/connection/incoming.ts';
import { Connection } from '../../src/pipeline/connection.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';

/** A connection since the time 0, and its request, whose body is incomplete. */
function connectionOf(response: object) {
  const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  const connection = new Connection({ socket, facts: { requests: 0 } } as unknown as IncomingConnection, 0, false);
  const begun = responseWith(response);
  connection.begin(begun);
  return { connection, begun };
}

function responseWith(properties: object): PipelineResponse {
  const req = { complete: false, readableLength: 0, readableHighWaterMark: 65_536 };
  const state = { writableFinished: false, destroyed: false, isQueued: false, isOver: false };
  return { req, ...state, ...properties } as unknown as PipelineResponse;
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

describe('pipelined requests', () => {
  const inApp = { req: { complete: true } };

  test('the server waits for none while the first one is in the app', () => {
    const { connection, begun } = connectionOf(inApp);
    const second = responseWith({});
    connection.begin(second);
    expect(connection.idleFor(3000)).toBe(-1);
    expect([connection.response, connection.lastResponse]).toEqual([begun, second]);
  });

  test('once the first response is sent, the next one is in flight', () => {
    const { connection, begun } = connectionOf(inApp);
    const [second, third] = [responseWith(inApp), responseWith(inApp)];
    connection.begin(second);
    Object.assign(begun, { writableFinished: true });
    expect(connection.response).toBe(second);
    connection.begin(third);
    for (const [response, next] of [
      [begun, second],
      [second, third],
      [third, undefined],
    ] as const) {
      Object.assign(response, { writableFinished: true, isOver: true });
      connection.finish();
      expect(connection.response).toBe(next);
    }
    expect(connection.betweenRequests).toBe(true);
  });

  test('the next request that begins before the response is over follows it', () => {
    const { connection, begun } = connectionOf({ ...inApp, writableFinished: true });
    const next = responseWith(inApp);
    connection.begin(next);
    Object.assign(begun, { isOver: true });
    connection.finish();
    expect([connection.response, connection.lastResponse]).toEqual([next, next]);
  });

  test('when the connection has closed, each response that Node has not closed is', () => {
    const closed: string[] = [];
    const named = (name: string, isClosed = false) =>
      responseWith({ ...inApp, closed: isClosed, emit: (event: string) => closed.push(`${event} ${name}`) });
    const { connection } = connectionOf(named('first', true));
    for (const name of ['second', 'third']) connection.begin(named(name));
    connection.end();
    expect(closed).toEqual(['close second', 'close third']);
    expect(connection.response).toBeUndefined();
  });

  test('each costs the same, however many wait', () => {
    let reads = 0;
    const counting: ProxyHandler<PipelineResponse> = {
      get(target, name, receiver) {
        reads++;
        return Reflect.get(target, name, receiver);
      },
    };
    const { connection } = connectionOf(inApp);
    const responses = Array.from({ length: 1000 }, () => new Proxy(responseWith(inApp), counting));
    for (const response of responses) connection.begin(response);
    for (const response of responses) {
      connection.idleFor(0);
      Object.assign(response, { writableFinished: true, isOver: true });
      connection.finish();
    }
    expect(reads).toBeLessThan(20 * responses.length);
  });
});
