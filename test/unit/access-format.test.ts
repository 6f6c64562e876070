// The formats of access lines, and that nothing from a client leaves its field in any of them.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { now } from '../../src/clock.ts';
import { accessLogFormat, fraction } from '../../src/config/access-log.ts';
import { templates } from '../../src/config/access-template.ts';
import type { AccessEntry } from '../../src/log/access-entry.ts';
import { accessFormat } from '../../src/log/access-format.ts';
import { variables } from '../../src/log/access-variables.ts';
import { textOf } from '../../src/log/line-bytes.ts';
import { lineOrigin } from '../../src/log/line-origin.ts';
import { redaction } from '../../src/log/redact.ts';
import { traceOf } from '../../src/log/trace-context.ts';

const entry: AccessEntry = {
  origin: lineOrigin(12, 3, '/api'),
  reqId: 'id-1',
  method: 'GET',
  url: '/path?q=x',
  httpVersion: '1.1',
  rawHeaders: ['Host', 'localhost', 'User-Agent', 'curl/8', 'Referer', 'http://a/?token=b'],
  status: 200,
  bytes: 350,
  headBytes: 150,
  durationMs: 1234.5678,
  endedAt: now(),
  remote: '192.0.2.7',
  cache: 'hit',
  slowBlockMs: 42,
};
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const lineOf = (format: string, changes: Partial<AccessEntry> = {}, hidden: readonly string[] = [], bytes = 65_536) =>
  textOf(accessFormat(format, hidden, bytes), { ...entry, ...changes });

/** Of Apache's documentation; in quotes what it escapes is escaped, and nothing else is there than printable ASCII. */
const quoted = String.raw`"((?:[ !#-\[\]-~]|\\["\\bnrtv]|\\x[0-9a-f]{2})*)"`;
const commonLine = String.raw`^(\S+) - - \[(\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] ${quoted} (\d{3}) (\d+|-)`;
const strict = { common: new RegExp(`${commonLine}\n$`), combined: new RegExp(`${commonLine} ${quoted} ${quoted}\n$`) };

test('common and combined are those of Apache', () => {
  const [, remote, time, request, status, bytes] = strict.common.exec(lineOf('common')) ?? [];
  expect({ remote, request, status, bytes }).toEqual({
    ...{ remote: '192.0.2.7', request: 'GET /path?q=x HTTP/1.1', status: '200', bytes: '200' },
  });
  const [day, month, year, rest = ''] = time?.split(/[/:]/) ?? [];
  const ms = Date.parse(`${day} ${month} ${year} ${rest}${time?.slice(14)}`);
  expect(Math.abs(Date.now() - ms)).toBeLessThan(60_000);
  const [, , , , , , referer, agent] = strict.combined.exec(lineOf('combined')) ?? [];
  expect([referer, agent]).toEqual(['http://a/?token=b', 'curl/8']);
});

test('what there is not is -, and no body has - for its bytes', () => {
  const none = { bytes: 150, rawHeaders: [], remote: null, status: null };
  expect(lineOf('combined', none)).toMatch(/^- - - \[.*\] "GET \/path\?q=x HTTP\/1\.1" 499 - "-" "-"\n$/);
});

const hostile = [
  '"',
  '\\',
  '\\"',
  '" 200 5 "x',
  '\n{"forged":1}',
  '\r\n',
  '\t\v\b\0\x1b[31m',
  '\x7f\x80\x85\x9f\xa0\xff',
  'Ã¼', // UTF-8 as Node reads it
  '\u2028\u2029\u202e',
  '😀',
  '\ud800',
  '$status',
];

describe.each(['json', 'common', 'combined', '[$request] "$http_user_agent" $uri'])('%s', (format) => {
  test.each(hostile)('%j stays in its field', (text) => {
    const rawHeaders = ['User-Agent', text, 'Referer', text, 'traceparent', text];
    const line = lineOf(format, { reqId: text, method: `M${text}`, url: `/${text}?q=${text}`, rawHeaders });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    expect(line.slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
    expect(line.endsWith('\n')).toBe(true);
    if (format === 'json')
      return expect(JSON.parse(line)).toMatchObject({ reqId: text, method: `M${text}`, url: `/${text}?q=${text}` });
    expect(line.slice(0, -1)).toMatch(/^[ -~]*$/);
    if (format in strict) expect(line).toMatch(strict[format as keyof typeof strict]);
  });
});

test('bytes beyond ASCII are escaped one by one, as Apache does', () => {
  expect(lineOf('$http_x', { rawHeaders: ['x', 'Ã¼"\\\n\x7f'] })).toBe('\\xc3\\xbc\\"\\\\\\n\\x7f\n');
});

test('each variable has its value', () => {
  const rawHeaders = ['traceparent', `00-${traceId}-${spanId}-01`, 'X-A-B', 'c'];
  const values = Object.fromEntries(
    [...Object.keys(variables), 'http_x_a_b', 'http_none'].map((name) => [
      name,
      lineOf(`$${name}`, { rawHeaders }).trim(),
    ]),
  );
  expect(values).toEqual({
    remote_addr: '192.0.2.7',
    remote_user: '-',
    time_local: expect.stringMatching(/^\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$/),
    time_iso8601: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    msec: expect.stringMatching(/^\d{10}\.\d{3}$/),
    request: 'GET /path?q=x HTTP/1.1',
    request_method: 'GET',
    request_uri: '/path?q=x',
    uri: '/path',
    args: 'q=x',
    server_protocol: 'HTTP/1.1',
    status: '200',
    bytes_sent: '350',
    body_bytes_sent: '200',
    body_bytes_clf: '200',
    request_time: '1.235',
    request_id: 'id-1',
    cache: 'hit',
    slow: 'slow',
    blocked_ms: '42',
    trace_id: traceId,
    span_id: spanId,
    pid: '12',
    tid: '3',
    route: '/api',
    http_x_a_b: 'c',
    http_none: '-',
  });
});

test('docs/logs.md lists each variable with its meaning', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../docs/logs.md'), 'utf8');
  const rows = Object.entries(variables).map(([name, { meaning }]) => `| \`$${name}\` | ${meaning} |`);
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});

test('a dollar sign and text beside a variable', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of ours
  expect(lineOf('$$5 ${status}s')).toBe('$5 200s\n');
  expect(lineOf('é\u2028 $status😀')).toBe('é\u2028 200😀\n');
});

test('a line is no longer than what is written at once', () => {
  const long = 'x'.repeat(16_000);
  const rawHeaders = ['User-Agent', long, 'Referer', `${long}"`];
  const line = lineOf('combined', { url: `/${long}`, rawHeaders }, [], 4096);
  expect(line.length).toBeLessThanOrEqual(4096);
  expect(line).toMatch(strict.combined);
});

test.each([
  ['/a?token=1&b=2', '/a?token=[redacted]&b=2'],
  ['/a?b=2&TOKEN=1#token=2', '/a?b=2&TOKEN=[redacted]'],
  ['/a?%74oken=1&token[0]=2&token%5B%5D=3', '/a?%74oken=[redacted]&token[0]=[redacted]&token%5B%5D=[redacted]'],
  ['/a?tokens=1&x-token=2', '/a?tokens=1&x-token=2'],
  ['/token=1', '/token=1'],
  ['GET /a?token=1 0123abcd', 'GET /a?token=[redacted] 0123abcd'],
  ['/a?%=1&token=', '/a?%=1&token=[redacted]'],
])('%s is logged as %s', (text, logged) => {
  expect(redaction(['Token']).text(text)).toBe(logged);
});

test('in all formats the values of the names are replaced, in URLs of headers as well', () => {
  const url = '/p?token=secret';
  const rawHeaders = ['Referer', 'http://a/?token=secret', 'Authorization', 'Bearer secret'];
  const format = '$request $request_uri $args $uri $http_referer $http_authorization';
  for (const one of ['json', 'common', 'combined', format]) {
    const line = lineOf(one, { url, rawHeaders }, ['token', 'authorization']);
    expect(line).toContain('[redacted]');
    expect(line).not.toContain('secret');
  }
});

test.each([
  [`00-${traceId}-${spanId}-01`, true],
  [`cc-${traceId}-${spanId}-01-what-comes`, true],
  [`00-${traceId}-${spanId}-01-more`, false],
  [`ff-${traceId}-${spanId}-01`, false],
  [`00-${'0'.repeat(32)}-${spanId}-01`, false],
  [`00-${traceId}-${'0'.repeat(16)}-01`, false],
  [`00-${traceId.toUpperCase()}-${spanId}-01`, false],
  ['00-1-2-3', false],
  ['', false],
])('traceparent %s', (value, isValid) => {
  const trace = isValid ? { traceId, spanId } : undefined;
  expect(traceOf(['a', 'b', 'TraceParent', value])).toEqual(trace);
  expect(traceOf(['traceparent', value, 'traceparent', value])).toBeUndefined();
  const line = JSON.parse(lineOf('json', { rawHeaders: ['traceparent', value] }));
  expect([line.traceId, line.spanId]).toEqual(isValid ? [traceId, spanId] : [undefined, undefined]);
});

test('--access-log-format takes names and templates', () => {
  for (const value of ['json', ...Object.keys(templates), '$remote_addr $http_x'])
    expect(accessLogFormat.read(value)).toEqual({ value });
  expect(accessLogFormat.read('$statsu')).toMatchObject({ offender: 'statsu' });
  expect(accessLogFormat.read('xml')).toHaveProperty('refused');
  expect(accessLogFormat.read('$status\n')).toEqual({ refused: 'be a template without control characters' });
  for (const value of ['0', '1', '.5', '0.1']) expect(fraction.read(value)).toEqual({ value: Number(value) });
  for (const value of ['-1', '1.1', 'x', '']) expect(fraction.read(value)).toHaveProperty('refused');
});
