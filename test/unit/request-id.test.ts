// Names of requests: the client's where it is sane, else one that no other request has.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { createRequestIds } from '../../src/pipeline/request-id.ts';

const asked = (...ids: string[]) => {
  const rawHeaders = ['Host', 'localhost', ...ids.flatMap((id) => ['X-Request-Id', id]), 'Accept-Range', 'x'];
  return { rawHeaders } as unknown as IncomingMessage;
};

test.each([
  'a',
  '4bf92f35-77b3',
  '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'A_b.c:d+e/f=@',
  'x'.repeat(128),
])('keeps %s', (id) => expect(createRequestIds()(asked(id))).toBe(id));

test.each(['', 'a b', 'a"b', '<script>', 'a,b', 'é', 'a\nb', 'x'.repeat(129)])('replaces %j', (id) => {
  expect(createRequestIds()(asked(id))).toMatch(/^[\w-]{5,32}$/);
});

test('replaces two', () => {
  expect(createRequestIds()(asked('a', 'b'))).toMatch(/^[\w-]{5,32}$/);
});

test('no two of two pipelines are the same', () => {
  const [one, other] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 1000 }, (_, i) => (i % 2 ? one : other)(asked()));
  expect(new Set(ids).size).toBe(1000);
});
