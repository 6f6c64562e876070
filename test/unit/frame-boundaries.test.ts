// What the app writes on a WebSocket connection, cut anywhere: it is between two frames exactly where it is.
import { describe, expect, test } from 'vitest';
import { FrameBoundaries } from '../../src/pipeline/frame-boundaries.ts';
import { closeCode, frame, masked } from '../helpers/frames.ts';
import { newSeed, type Random, randomOf } from '../helpers/seeds.ts';

const head = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nx-a: \r\r\n\r\n');
const lengths = [0, 1, 2, 124, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000] as const;

function randomFrame(random: Random): Buffer {
  const isControl = random.chance(0.2);
  const opcode = random.pick(isControl ? (['ping', 'pong'] as const) : (['continuation', 'text', 'binary'] as const));
  const wanted = random.chance(0.5) ? random.pick(lengths) : random.integer(0, 300);
  const length = isControl ? Math.min(wanted, 125) : wanted;
  // Payloads that look like the headers of frames, and like the end of a head.
  const payload = Buffer.alloc(length, random.pick(['\x88\x02', '\r\n\r\n', '\x81\xff', '\0', 'x']), 'latin1');
  return frame(opcode, payload, isControl || random.chance(0.7));
}

/** The bytes of an app, and after how many of them a frame has ended. */
function script(random: Random): { bytes: Buffer; ends: ReadonlySet<number> } {
  const frames = Array.from({ length: random.integer(1, 12) }, () => randomFrame(random));
  const ends = new Set([head.length]);
  let length = head.length;
  for (const one of frames) {
    length += one.length;
    ends.add(length);
  }
  return { bytes: Buffer.concat([head, ...frames]), ends };
}

test('random frames, cut at random places', () => {
  const random = randomOf(newSeed('frame boundaries'));
  /** Where it was wrong. */
  const wrong: { run: number; at: number }[] = [];
  for (let run = 0; run < 300; run++) {
    const { bytes, ends } = script(random);
    const boundaries = new FrameBoundaries();
    const maxPiece = random.pick([1, 3, 20, 1000, 100_000]);
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + random.integer(1, maxPiece));
      if (random.chance(0.5)) boundaries.add(piece);
      else boundaries.addText(piece.toString('latin1'), 'latin1');
      at += piece.length;
      if (boundaries.isBetweenFrames !== ends.has(at)) wrong.push({ run, at });
    }
    expect(boundaries).toMatchObject({ bytes: bytes.length, isLost: false, hasClose: false });
  }
  expect(wrong).toEqual([]);
});

test('a text that continues a frame counts by its encoding', () => {
  const boundaries = new FrameBoundaries();
  boundaries.add(head);
  const text = 'grüße, 世界';
  const whole = frame('text', Buffer.from(text));
  boundaries.add(whole.subarray(0, 2));
  boundaries.addText(text.slice(0, 4), 'utf8');
  expect(boundaries.isBetweenFrames).toBe(false);
  boundaries.addText(text.slice(4), 'utf8');
  expect(boundaries).toMatchObject({ isBetweenFrames: true, bytes: head.length + whole.length });
});

test('a Close frame is noticed with its first byte', () => {
  const boundaries = new FrameBoundaries();
  boundaries.add(Buffer.concat([head, frame('text', Buffer.from('\x88\x88'))]));
  expect(boundaries.hasClose).toBe(false);
  boundaries.add(frame('close', closeCode(1000)).subarray(0, 1));
  expect(boundaries).toMatchObject({ hasClose: true, isBetweenFrames: false });
});

describe('never between two frames any more', () => {
  const answered = (bytes: Buffer) => Buffer.concat([head, bytes]);
  test.each([
    ['another answer than 101', Buffer.from('HTTP/1.1 401 Unauthorized\r\n\r\n')],
    ['no HTTP', Buffer.from('\x81\x01a')],
    ['a masked frame', answered(masked('text', Buffer.from('a')))],
    ['a reserved opcode', answered(Buffer.from([0x83, 0]))],
    ['a reserved control opcode', answered(Buffer.from([0x8b, 0]))],
    ['a control frame in fragments', answered(frame('ping', Buffer.from('a'), false))],
    ['a control frame that is too long', answered(frame('ping', Buffer.alloc(126)))],
    ['a length that no number holds', answered(Buffer.from([0x82, 127, 0, 0x20, 0, 0, 0, 0, 0, 0]))],
  ])('%s', (_, bytes) => {
    const boundaries = new FrameBoundaries();
    boundaries.add(bytes);
    expect(boundaries).toMatchObject({ isLost: true, isBetweenFrames: false });
    boundaries.add(frame('text', Buffer.from('a')));
    expect(boundaries.isBetweenFrames).toBe(false);
  });
});
