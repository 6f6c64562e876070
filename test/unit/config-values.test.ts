// Every type of option value: what it parses, what it refuses, and that parsing reverses formatting.
import { describe, expect, test } from 'vitest';
import { formatAddress, readAddress } from '../../src/config/address.ts';
import {
  addresses,
  boolean,
  choice,
  count,
  countOrAuto,
  file,
  files,
  host,
  type Kind,
  logDestination,
  nodeArguments,
  watched,
} from '../../src/config/kind.ts';
import { duration, size } from '../../src/config/quantity.ts';

const hour = 3_600_000;
const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });

const kinds: readonly {
  name: string;
  kind: Kind<never> | Kind<unknown>;
  reads: readonly (readonly [raw: unknown, value: unknown])[];
  refuses: readonly unknown[];
}[] = [
  {
    name: 'a duration',
    kind: duration(0, hour),
    reads: [
      ['500ms', 500],
      ['20s', 20_000],
      ['5m', 300_000],
      ['1h', hour],
      ['20', 20_000],
      [20, 20_000],
      ['1.5', 1_500],
      ['.5s', 500],
      ['1.5 s', 1_500],
      [0, 0],
      ['0.1ms', 1],
      ['20S', 20_000],
    ],
    refuses: ['', 's', '-1', '1d', '61m', '1m30s', '1e3', 'Infinity', Number.NaN, -1, true, null, [20]],
  },
  {
    name: 'a size',
    kind: size(1, 1024 ** 3),
    reads: [
      ['16k', 16_384],
      ['16K', 16_384],
      ['64M', 67_108_864],
      ['1G', 1024 ** 3],
      ['100', 100],
      [100, 100],
      ['1.5k', 1_536],
    ],
    refuses: ['', '0', 0, '2G', '16kb', '-1', 'k', {}, 1.5e12],
  },
  {
    name: 'a count',
    kind: count(1, 1024),
    reads: [
      ['1', 1],
      ['1024', 1024],
      [7, 7],
      ['007', 7],
    ],
    refuses: ['0', '1025', '1.5', 1.5, '-1', '', 'two', '0x10', ' 1', true, null, ['1']],
  },
  {
    name: 'a count or auto',
    kind: countOrAuto(1, 4),
    reads: [
      ['auto', 'auto'],
      ['4', 4],
    ],
    refuses: ['5', 'automatic', 0],
  },
  {
    name: 'a choice',
    kind: choice(['json', 'pretty'], 'FORMAT'),
    reads: [['json', 'json']],
    refuses: ['JSON', '', 'xml', 1],
  },
  {
    name: 'a switch',
    kind: boolean,
    reads: [
      [true, true],
      ['true', true],
      ['1', true],
      ['yes', true],
      ['on', true],
      [false, false],
      ['false', false],
      ['0', false],
      ['no', false],
      ['off', false],
    ],
    refuses: ['', 'maybe', 1, null],
  },
  { name: 'a path', kind: file, reads: [['a b', 'a b']], refuses: ['', 'a\0b', 1] },
  {
    name: 'a host',
    kind: host,
    reads: [
      ['localhost', 'localhost'],
      ['0.0.0.0', '0.0.0.0'],
      ['::', '::'],
      ['[::1]', '::1'],
    ],
    refuses: ['', 'a:1', '1.2.3', 'unix:/x', 'http://a', '::1%eth0', '[a]'],
  },
  {
    name: 'files and directories to watch',
    kind: watched,
    reads: [
      [true, ['.']],
      ['true', ['.']],
      [false, []],
      ['src', ['src']],
      [
        ['src', 'true'],
        ['src', 'true'],
      ],
    ],
    refuses: ['', [''], [1], { src: true }],
  },
  {
    name: 'a log destination',
    kind: logDestination,
    reads: [
      ['-', '-'],
      ['off', undefined],
      ['x.log', 'x.log'],
    ],
    refuses: ['', true],
  },
  {
    name: 'addresses',
    kind: addresses,
    reads: [
      ['127.0.0.1:8080', [tcp('127.0.0.1', 8080)]],
      [
        ['[::1]:80', 'unix:/run/app.sock'],
        [tcp('::1', 80), { kind: 'unix', path: '/run/app.sock' }],
      ],
      [8080, [tcp('127.0.0.1', 8080)]],
    ],
    refuses: [[], ['8080', 'x'], [null], {}],
  },
  {
    name: 'node options',
    kind: nodeArguments,
    reads: [
      ['--inspect', ['--inspect']],
      [
        ['--a', '-r'],
        ['--a', '-r'],
      ],
    ],
    refuses: ['inspect', [1], []],
  },
];

describe.each(kinds)('$name', ({ kind, reads, refuses }) => {
  test.each(reads)('parses %j to %j, and parses what it has formatted', (raw, value) => {
    expect(kind.read(raw)).toEqual({ value });
    expect(kind.read((kind as Kind<unknown>).write(value))).toEqual({ value });
  });

  test.each(refuses.map((raw) => [raw]))('refuses %j with a reason', (raw) => {
    expect(kind.read(raw)).toMatchObject({ refused: expect.stringMatching(/^(be|have|end|name) /) });
  });
});

test.each([
  ['localhost:80', tcp('localhost', 80), 'localhost:80'],
  ['my_host.example-1.com:80', tcp('my_host.example-1.com', 80), 'my_host.example-1.com:80'],
  ['0.0.0.0:0', tcp('0.0.0.0', 0), '0.0.0.0:0'],
  [':8080', tcp('0.0.0.0', 8080), '0.0.0.0:8080'],
  ['8080', tcp('127.0.0.1', 8080), '127.0.0.1:8080'],
  ['unix:a:1', { kind: 'unix', path: 'a:1' }, 'unix:a:1'],
])('the address %s is parsed and formatted', (text, value, written) => {
  expect(readAddress(text)).toEqual({ value });
  expect(formatAddress(value as Parameters<typeof formatAddress>[0])).toBe(written);
});

test.each([
  ['localhost', /end in a port/],
  ['127.0.0.1', /end in a port/],
  ['localhost:65536', /port from 0 to 65535/],
  ['[fe80::1%eth0]:1', /no zone/],
  ['::1', /brackets/],
  ['::1:80', /brackets/],
  ['http://localhost:80', /without a scheme/],
  ['1.2.3.400:80', /host:port/],
  ['[localhost]:80', /host:port/],
  ['[::1]', /host:port/],
  ['-a:80', /host:port/],
  ['a b:80', /host:port/],
  ['a:b:80', /host:port/],
  ['localhost:', /host:port/],
  ['localhost:+1', /host:port/],
  ['unix:', /name a file/],
  ['', /host:port/],
])('the address %j is refused', (text, why) => {
  expect(readAddress(text)).toEqual({ refused: expect.stringMatching(why) });
});

test('a relative path is resolved against the directory of the configuration file, and kept outside of a file', () => {
  expect(file.rebase?.('a.js', '/srv', '/srv')).toBe('a.js');
  expect(file.rebase?.('a.js', '/etc', '/srv')).toBe('/etc/a.js');
  expect(file.rebase?.('/a.js', '/etc', '/srv')).toBe('/a.js');
  expect(logDestination.rebase?.('-', '/etc', '/srv')).toBe('-');
  expect(logDestination.rebase?.(undefined, '/etc', '/srv')).toBeUndefined();
  expect(addresses.rebase?.([{ kind: 'unix', path: 'a.sock' }], '/etc', '/srv')).toEqual([
    { kind: 'unix', path: '/etc/a.sock' },
  ]);
});

test('relative paths of a list are rebased', () => {
  expect(files.rebase?.(['a', '/b'], '/etc', '/srv')).toEqual(['/etc/a', '/b']);
  expect(files.rebase?.(['a'], '/srv', '/srv')).toEqual(['a']);
});
