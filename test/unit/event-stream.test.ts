// What the app writes into an event stream, cut anywhere: it can end exactly after a blank line.
import { expect, test } from 'vitest';
import { EventStream } from '../../src/pipeline/event-stream.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';
import { newSeed, randomOf } from '../helpers/seeds.ts';

function stream() {
  const ended = { count: 0 };
  const response = { writableEnded: false, destroyed: false, on: () => {}, end: () => ended.count++ };
  return { events: new EventStream(response as unknown as PipelineResponse), ended };
}

/** Whether the last line is blank, or there is none. */
function isBetweenEvents(text: string): boolean {
  const characters = text.match(/\r\n|[\s\S]/g) ?? [];
  return ['\n', ...characters].slice(-2).every((one) => /^[\r\n]/.test(one)) || characters.length === 0;
}

test('random lines, cut at random places', () => {
  const random = randomOf(newSeed('event streams'));
  const words = ['\n', '\r', '\r\n', '\n\n', '\r\n\r\n', 'data: x', ':', 'é', '世', 'id: 1\n'];
  let between = 0;
  for (let run = 0; run < 5000; run++) {
    const text = Array.from({ length: random.integer(0, 8) }, () => random.pick(words)).join('');
    const { events, ended } = stream();
    for (let at = 0; at < text.length; ) {
      const piece = text.slice(at, at + random.integer(1, 6));
      const encoding = random.pick(['utf8', 'base64', 'hex'] as const);
      if (random.chance(0.5)) events.add(Buffer.from(piece), 'utf8');
      else events.add(Buffer.from(piece).toString(encoding), encoding);
      at += piece.length;
    }
    events.close();
    expect([run, text, events.hasEnded]).toEqual([run, text, isBetweenEvents(text)]);
    expect(ended.count).toBe(Number(events.hasEnded));
    between += ended.count;
  }
  expect(between).toBeGreaterThan(100);
  expect(between).toBeLessThan(4900);
});

test('a stream that is to be closed ends with the write that completes its event, and once', () => {
  const { events, ended } = stream();
  events.add('data: x', 'utf8');
  events.close();
  events.add('\r\n', 'utf8');
  expect(ended.count).toBe(0);
  events.add('\r\n', 'utf8');
  expect(ended.count).toBe(1);
  events.add('data: y\n\n', 'utf8');
  events.close();
  expect(ended.count).toBe(1);
});
