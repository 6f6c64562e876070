// Lines out of a stream of text, of bounded length.
import type { Readable, Writable } from 'node:stream';

export type LineReader = (line: string) => void;

/** A longer line is delivered in pieces of this size (characters). */
const longest = 65_536;

export function readLines(stream: Readable | Writable | null | undefined, onLine: LineReader): void {
  if (!stream || !('setEncoding' in stream)) return;
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    for (; rest.length > longest; rest = rest.slice(longest)) onLine(rest.slice(0, longest));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
  stream.on('error', () => {}); // the worker died; its exit is told elsewhere
}
