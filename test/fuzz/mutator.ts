// Makes what a client might send, from a seed: pipelines of requests that are right or nearly so, cut into pieces, with
// pauses between them. It knows what proxies and servers have disagreed on, and sends nothing.
import { type Random, randomOf } from '../helpers/seeds.js';

/** What a client does: it writes the pieces one after another, then ends its side. */
export interface Script {
  readonly pieces: readonly Buffer[];
  /** Between two pieces, in milliseconds; 0: the next one follows at once, but in a write of its own. */
  readonly pauseMs: number;
  /** The client ends its side when it has had an answer, or at once. */
  readonly endsLate: boolean;
}

const methods = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'HEAD',
  'OPTIONS',
  'DELETE',
  'M-SEARCH',
  'get',
  'BREW',
  'G\0T',
  '',
];
const targets = [
  '/',
  '/a?b=c',
  '/%00%0d%0a',
  '//a/../b',
  '*',
  'http://other/path',
  '/\xff\xfe',
  '/a b',
  '/\t',
  '',
  '#',
];
const versions = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.2',
  'http/1.1',
  'HTTP/1.1 ',
];
const lineEnds = ['\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', '\n\r'];
const hosts = ['host: a', 'Host: a:80', 'host:a', 'HOST : a', 'host: a\r\nhost: b', 'host:', '', 'h\0st: a'];
const fields = [
  'connection: close',
  'connection: keep-alive',
  'connection: close, keep-alive',
  'connection: upgrade\r\nupgrade: websocket',
  'expect: 100-continue',
  'expect: 200-ok',
  'te: trailers',
  'trailer: x-end',
  'x-request-id: given',
  'cookie: a=b; c="d"',
  'x-folded: a\r\n b',
  'x-nul: a\0b',
  'x-high: \xe9\x80',
  'x under: 1',
  'x_under: 1',
  ': empty',
  'no colon',
  'x-empty:',
  'content-type: text/plain;charset=\tx',
  `x-long: ${'v'.repeat(9000)}`,
];
const codings = [
  'chunked',
  'Chunked',
  ' chunked',
  'chunked ',
  '\tchunked',
  'xchunked',
  'chunked, identity',
  'identity, chunked',
  'chunked, chunked',
  'identity',
  '"chunked"',
  'chunked;q=1',
  'chun\r\n ked',
  '',
];
const bytes = ['\0', '\r', '\n', '\r\n', ' ', '\t', ':', ';', ',', '\x7f', '\xff', '0', 'f', '-', '+'];

export function scriptOf(seed: number): Script {
  const random = randomOf(seed);
  const requests = Array.from({ length: random.pick([1, 1, 1, 2, 2, 3, 5]) }, () => request(random));
  let text = requests.join(random.chance(0.1) ? random.pick(['\r\n', '\n', '\r\n\r\n', ' ', 'x']) : '');
  for (let left = random.pick([0, 0, 0, 1, 1, 2, 4]); left > 0; left--) text = mutated(text, random);
  const raw = Buffer.from(text, 'latin1');
  const cut = random.pick(['whole', 'whole', 'some', 'some', 'each'] as const);
  return {
    pieces: cut === 'whole' ? [raw] : cut === 'each' ? eachByte(raw, random) : someParts(raw, random),
    pauseMs: random.pick([0, 0, 1, 2]),
    endsLate: random.chance(0.5),
  };
}

/** How far apart pieces are sent that have to be read one by one (milliseconds). */
const apartMs = 20;

/**
 * The same bytes as a server may read them that is slower or faster than another: the pieces one by one, or the first
 * of them in one piece: all, half of them, a quarter and so on.
 */
export function otherTimings(script: Script): Script[] {
  const scripts: Script[] = [{ ...script, pauseMs: apartMs }];
  for (let count = script.pieces.length; count > 1; count = Math.floor(count / 2)) {
    const [first, rest] = [script.pieces.slice(0, count), script.pieces.slice(count)];
    scripts.push({ ...script, pieces: [Buffer.concat(first), ...rest] });
  }
  return scripts;
}

function request(random: Random): string {
  const end = random.chance(0.85) ? '\r\n' : random.pick(lineEnds);
  const pick = <T>(right: T, all: readonly T[]): T => (random.chance(0.75) ? right : random.pick(all));
  const method = pick(random.pick(['GET', 'POST']), methods);
  const lines = [`${method} ${pick('/', targets)} ${pick('HTTP/1.1', versions)}`, pick('host: a', hosts)];
  for (let left = random.pick([0, 0, 1, 2, 3]); left > 0; left--) lines.push(random.pick(fields));
  let body = '';
  const framing = method === 'GET' && random.chance(0.7) ? 'none' : random.pick(['length', 'chunks', 'both', 'none']);
  if (framing === 'length' || framing === 'both') {
    body = 'b'.repeat(random.pick([0, 1, 5, 100, 3000]));
    lines.push(`${random.chance(0.9) ? 'content-length' : 'Content-Length '}: ${length(body.length, random)}`);
    if (random.chance(0.05)) lines.push(`content-length: ${length(body.length, random)}`);
  }
  if (framing === 'chunks' || framing === 'both') {
    body = chunks(random);
    lines.push(`transfer-encoding: ${pick('chunked', codings)}`);
  }
  if (random.chance(0.1)) lines.sort(() => (random.chance(0.5) ? 1 : -1));
  return `${lines.filter(Boolean).join(end)}${end}${end}${body}`;
}

function length(right: number, random: Random): string {
  if (random.chance(0.7)) return String(right);
  const wrong = [
    right + 1,
    right - 1,
    `+${right}`,
    `0x${right.toString(16)}`,
    `0${right}`,
    `${right}, ${right}`,
    `-${right}`,
  ];
  return String(random.pick([...wrong, '99999999999999999999', '', ' ', `${right} `, `${right}\t`, '1e1', 'five']));
}

function chunks(random: Random): string {
  const right = random.chance(0.6);
  const one = (size: number): string => {
    const hex = size.toString(16);
    const sizes = [
      `0${hex}`,
      hex.toUpperCase(),
      `${hex};a=b`,
      `${hex};a="b;c"`,
      `${hex} `,
      ` ${hex}`,
      `0x${hex}`,
      `-${hex}`,
    ];
    const text = right
      ? hex
      : random.pick([hex, hex, ...sizes, `${hex};${'e'.repeat(20_000)}`, `ffffffffffffffff${hex}`, '']);
    const [after, last] = right ? ['\r\n', '\r\n'] : [random.pick(lineEnds), random.pick([...lineEnds, ''])];
    return `${text}${after}${'c'.repeat(size)}${last}`;
  };
  const all = Array.from({ length: random.integer(0, 4) }, () => one(random.pick([1, 2, 10, 15, 300])));
  const trailers = random.chance(0.3)
    ? random.pick(['x-end: 1\r\n', 'content-length: 5\r\n', 'bad\r\n', ': \r\n'])
    : '';
  return `${all.join('')}${right ? '0\r\n' : random.pick(['0\r\n', '0\n', '00\r\n', '0;x\r\n', ''])}${trailers}\r\n`;
}

function mutated(text: string, random: Random): string {
  const at = random.integer(0, text.length);
  const to = Math.min(text.length, at + random.integer(0, 20));
  const [before, part, after] = [text.slice(0, at), text.slice(at, to), text.slice(to)];
  switch (random.pick(['remove', 'repeat', 'insert', 'replace', 'cut'] as const)) {
    case 'remove':
      return before + after;
    case 'repeat':
      return before + part + part + after;
    case 'insert':
      return before + random.pick(bytes) + part + after;
    case 'replace':
      return before + random.pick(bytes) + part.slice(1) + after;
    default:
      return before;
  }
}

function someParts(raw: Buffer, random: Random): Buffer[] {
  const cuts = Array.from({ length: random.integer(1, 5) }, () => random.integer(0, raw.length)).sort((a, b) => a - b);
  const ends = [...cuts, raw.length];
  return ends.map((end, i) => raw.subarray(ends[i - 1] ?? 0, end)).filter(({ length }) => length > 0);
}

/** Of a long text, only around one position. */
function eachByte(raw: Buffer, random: Random): Buffer[] {
  const most = 150;
  const from = random.integer(0, Math.max(0, raw.length - most));
  const single = [...raw.subarray(from, from + most)].map((byte) => Buffer.of(byte));
  return [raw.subarray(0, from), ...single, raw.subarray(from + most)].filter(({ length }) => length > 0);
}
