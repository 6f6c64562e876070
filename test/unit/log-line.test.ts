// Shortening lines to an atomic write, and splitting a stream into lines.
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { fitLine } from '../../src/log/line.ts';
import { readLines } from '../../src/log/lines.ts';

const line = (record: object): string => `${JSON.stringify(record)}\n`;

describe('fitLine', () => {
  test.each([100, 512, 4096])('does not change a line of %i bytes, including its newline', (length) => {
    const exact = line({ url: 'x'.repeat(length - line({ url: '' }).length) });
    expect(Buffer.byteLength(exact)).toBe(length);
    expect(fitLine(exact, length)).toBe(exact);
  });

  test('shortens a line that is one byte too long, and marks it as truncated', () => {
    const long = line({ url: 'x'.repeat(4097 - line({ url: '' }).length) });
    const fitted = fitLine(long, 4096);
    expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(4096);
    expect(JSON.parse(fitted)).toEqual({ url: expect.stringMatching(/^x{3000,}$/), truncated: true });
  });

  test.each([
    ['two bytes each', 'é'.repeat(5000)],
    ['four bytes each', '😀'.repeat(5000)],
    ['six bytes each when written', '\0'.repeat(5000)],
    ['quoted', '"\\'.repeat(5000)],
  ])('counts bytes, not characters (%s)', (_, text) => {
    const fitted = fitLine(line({ level: 30, url: text }), 4096);
    expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(4096);
    expect(fitted.endsWith('}\n')).toBe(true);
    expect(JSON.parse(fitted)).toMatchObject({ level: 30, truncated: true });
    expect(text.startsWith(JSON.parse(fitted).url.replace(/[\ud800-\udbff]$/, ''))).toBe(true);
  });

  test('cuts the longest string at any depth, and keeps short ones', () => {
    const record = { event: 'request-failed', err: { message: 'no', stack: 's'.repeat(9000) }, url: '/short' };
    const fitted = JSON.parse(fitLine(line(record), 4096));
    expect(fitted).toMatchObject({ event: 'request-failed', url: '/short', err: { message: 'no' }, truncated: true });
    expect(fitted.err.stack.length).toBeGreaterThan(1000);
  });

  test('drops the second half of a long list', () => {
    const requests = Array.from({ length: 300 }, (_, i) => ({ reqId: `${i}`, method: 'GET', url: 'x'.repeat(300) }));
    const fitted = fitLine(line({ event: 'hung', stack: ['spin (app.js:1:1)'], requests }), 4096);
    expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(4096);
    expect(JSON.parse(fitted)).toMatchObject({ event: 'hung', stack: ['spin (app.js:1:1)'], truncated: true });
    expect(JSON.parse(fitted).requests[0]).toMatchObject({ reqId: '0', method: 'GET' });
  });

  test.each([
    ['fields', Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`field ${i}`, ''])), 512],
    ['nested lists', { a: Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => 'x')) }, 512],
  ])('shortens a line with too many %s', (_, record, maxBytes) => {
    const fitted = fitLine(line(record), maxBytes);
    expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(maxBytes);
    expect(JSON.parse(fitted)).toMatchObject({ truncated: true });
  });

  test('shortens many strings of medium length', () => {
    const record = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'x'.repeat(500)]));
    expect(Buffer.byteLength(fitLine(line(record), 512))).toBeLessThanOrEqual(512);
  });
});

describe('readLines', () => {
  const read = async (...chunks: (string | Buffer)[]): Promise<string[]> => {
    const stream = new PassThrough();
    const lines: string[] = [];
    readLines(stream, (text) => lines.push(text));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    await new Promise((done) => stream.once('end', done));
    return lines;
  };

  test('joins chunks, even if one ends within a character', async () => {
    const bytes = Buffer.from('grün\nblau\n');
    expect(await read(bytes.subarray(0, 3), bytes.subarray(3, 8), bytes.subarray(8))).toEqual(['grün', 'blau']);
  });

  test('emits a last line without a newline, and empty lines', async () => {
    expect(await read('a\n\nb')).toEqual(['a', '', 'b']);
  });

  test('splits a line without an end', async () => {
    const lines = await read('x'.repeat(200_000));
    expect(lines.join('')).toHaveLength(200_000);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(65_536);
  });
});
