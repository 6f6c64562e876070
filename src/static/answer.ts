// What a client gets of a representation: all of it, ranges, or only that its own copy is still good.
import type { IncomingMessage } from 'node:http';
import { type Multipart, multipart, type Piece } from './multipart.js';
import { allowsRange, evaluate } from './preconditions.js';
import { rangesOf } from './ranges.js';
import type { Representation } from './representation.js';

export interface FileAnswer {
  readonly status: 200 | 206 | 304 | 404 | 412 | 416;
  /** A flat list of names and values. */
  readonly headers: readonly string[];
  /** What is sent of the file; none where there is no body. */
  readonly pieces: readonly Piece[];
}

/** @param req GET or HEAD */
export function answerTo(req: IncomingMessage, file: Representation): FileAnswer {
  const { headers, method } = req;
  const status = evaluate(headers, file);
  if (status === 304) return { status, headers: file.validators, pieces: [] };
  if (status === 412) return { status, headers: ['content-length', '0'], pieces: [] };
  const isRange = method === 'GET' && headers.range !== undefined; // section 14.2: only for GET
  const ranges =
    isRange && allowsRange(headers['if-range'] as string | undefined, file)
      ? rangesOf(headers.range as string, file.size)
      : undefined;
  return ranges ? partial(file, ranges) : whole(file);
}

export function whole(file: Representation): FileAnswer {
  return { status: 200, headers: file.headers, pieces: allOf(file) };
}

/** 404.html: nothing that a client may keep, or ask for in parts. */
export function notFound(file: Representation): FileAnswer {
  const kept = ['content-type', 'content-length', 'content-encoding', 'vary'];
  const headers = file.headers.flatMap((name, i) =>
    i % 2 === 0 && kept.includes(name) ? [name, file.headers[i + 1] as string] : [],
  );
  return { status: 404, headers, pieces: allOf(file) };
}

function allOf({ size }: Representation): readonly Piece[] {
  return size > 0 ? [{ start: 0, end: size }] : [];
}

function partial(file: Representation, ranges: NonNullable<ReturnType<typeof rangesOf>>): FileAnswer {
  const [first, second] = ranges;
  if (!first) {
    const headers = ['content-range', `bytes */${file.size}`, 'accept-ranges', 'bytes', 'content-length', '0'];
    return { status: 416, headers, pieces: [] };
  }
  if (second) return several(file, multipart(ranges, fieldOf(file, 'content-type'), file.size));
  const changed = {
    'content-length': String(first.end - first.start),
    'content-range': `bytes ${first.start}-${first.end - 1}/${file.size}`,
  };
  return { status: 206, headers: withHeaders(file, changed), pieces: [first] };
}

function several(file: Representation, { type, length, pieces }: Multipart): FileAnswer {
  return {
    status: 206,
    headers: withHeaders(file, { 'content-type': type, 'content-length': String(length) }),
    pieces,
  };
}

function fieldOf({ headers }: Representation, name: string): string {
  return headers[headers.indexOf(name) + 1] as string;
}

function withHeaders({ headers }: Representation, changed: Readonly<Record<string, string>>): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!Object.hasOwn(changed, name)) kept.push(name, headers[i + 1] as string);
  }
  return [...kept, ...Object.entries(changed).flat()];
}
