// readPlain parses a plain command line as yargs-parser does, and leaves any other to yargs-parser.
import { expect, test } from 'vitest';
import parse from 'yargs-parser';
import { parserConfiguration } from '../../src/config/argv.ts';
import { readPlain } from '../../src/config/plain-argv.ts';

const flags = {
  valued: new Set(['bind', 'model', 'workers', 'log-file']),
  repeatable: new Set(['bind']),
  boolean: new Set(['daemon', 'capture-output', 'help']),
};

function byLibrary(argv: readonly string[]): unknown {
  return parse.detailed([...argv], {
    string: [...flags.valued],
    boolean: [...flags.boolean],
    array: [...flags.repeatable],
    narg: Object.fromEntries([...flags.valued].map((flag) => [flag, 1])),
    configuration: parserConfiguration,
  });
}

test.each([
  [],
  ['app.js'],
  ['ctl', 'status'],
  ['app.js', '--model', 'prefork', '--workers=2'],
  ['--bind', ':80', '--bind=[::1]:81', 'app.js'],
  ['--daemon', 'app.js', '--no-capture-output'],
  ['--log-file', 'a=b c.log', 'unix:/x/y.sock#z'],
])('%j is plain', (...argv) => {
  expect(readPlain(argv, flags)).toBeDefined();
});

test.each([
  ['-h'],
  ['--'],
  ['--unknown'],
  ['--unknown=1'],
  ['--model'],
  ['--model='],
  ['--model', '--daemon'],
  ['--model', 'ppc', '--model', 'tpc'],
  ['--daemon', 'true'],
  ['--daemon=false'],
  ['--daemon', '--daemon'],
  ['--no-model', 'x'],
  ['--model', "'ppc'"],
  ['"app.js"'],
  [''],
  ['--__proto__', 'x'],
  ['--logFile', 'x'],
])('%j is not plain', (...argv) => {
  expect(readPlain(argv, flags)).toBeUndefined();
});

test('every plain command line is parsed as yargs-parser parses it', () => {
  const pieces = [
    ...['app', '0', '1e3', 'true', 'false', 'a=b', '.x', 'x\ty', '-', '--', '-1', '-h', '', "'q'", '"', 'null', 'NaN'],
    ...[
      '--bind',
      '--bind=a',
      '--bind=-1',
      '--bind=',
      '--model',
      '--model=x=y',
      '--no-model',
      '--workers',
      '--workers=2',
    ],
    ...['--daemon', '--no-daemon', '--daemon=true', '--help', '--no-help', '--log-file', '--logFile', '--x', '--no-x'],
  ];
  let plain = 0;
  // Every command line of up to three of these pieces.
  const lines = pieces.flatMap((a) => [[a], ...pieces.flatMap((b) => [[a, b], ...pieces.map((c) => [a, b, c])])]);
  for (const argv of lines) {
    const read = readPlain(argv, flags);
    if (read === undefined) continue;
    plain++;
    expect({ argv, read, error: null }).toEqual({ argv, ...pick(byLibrary(argv)) });
  }
  expect(plain).toBeGreaterThan(1000);
});

function pick(detailed: unknown): { read: unknown; error: unknown } {
  const { argv, error } = detailed as { argv: Record<string, unknown>; error: unknown };
  return { read: { ...argv }, error };
}
