// The command line: flags with values, flags that are on or off, positional arguments, and the mistakes that are refused.
import { expect, test } from 'vitest';
import { readArguments } from '../../src/config/argv.ts';
import { options, switches } from './config-fixture.ts';

const nothing = { words: [], values: {}, switches: new Set() };

test.each<[string[], Partial<Awaited<ReturnType<typeof readArguments>>>]>([
  [[], {}],
  [['app.js'], { words: ['app.js'] }],
  [['ctl', 'status'], { words: ['ctl', 'status'] }],
  [['app.js', '--model', 'prefork', '--workers=2'], { words: ['app.js'], values: { model: 'prefork', workers: '2' } }],
  [['--bind', ':80', '--bind=[::1]:81', 'app.js'], { words: ['app.js'], values: { bind: [':80', '[::1]:81'] } }],
  [['--daemon', 'app.js', '--no-migrate'], { words: ['app.js'], values: { daemon: true, migrate: false } }],
  [['--log-file', 'a=b c.log', 'unix:/x/y.sock#z'], { words: ['unix:/x/y.sock#z'], values: { logFile: 'a=b c.log' } }],
  [['--access-log', '-', '-'], { words: ['-'], values: { accessLog: '-' } }],
  [['ctl', 'scale', '-1', '-12'], { words: ['ctl', 'scale', '-1', '-12'] }],
  [['--workers', '-1', '--bind=-2'], { values: { workers: '-1', bind: ['-2'] } }],
  [['--model=', '--log-file=x=y', ''], { words: [''], values: { model: '', logFile: 'x=y' } }],
  [['--daemon=true', '--migrate=false'], { values: { daemon: true, migrate: false } }],
  [['--daemon', 'false', '--no-daemon', 'true'], { words: ['true'], values: { daemon: false } }],
  [['-workers=3', '-bind', ':80'], { values: { workers: '3', bind: [':80'] } }],
  [["--model='ppc'", '"app.js"', 'x\ny'], { words: ['"app.js"', 'x\ny'], values: { model: "'ppc'" } }],
  [['-h', 'app.js'], { words: ['app.js'], switches: new Set(['help']) }],
  [['--help'], { switches: new Set(['help']) }],
  [['--no-help'], {}],
  [['a', '--', '--model', '-h'], { words: ['a', '--model', '-h'] }],
])('%j is read', async (argv, expected) => {
  expect(await readArguments(argv, options, switches)).toEqual({ ...nothing, ...expected });
});

test.each([
  [['--unknown'], 'unknown flag --unknown; mpserve --help lists the flags'],
  [['--unknown=1', 'x'], 'unknown flag --unknown; mpserve --help lists the flags'],
  [['--logFile', 'x'], 'unknown flag --logFile; did you mean --log-file?'],
  [['--__proto__', 'x'], 'unknown flag --__proto__; mpserve --help lists the flags'],
  [['--no-model', 'x'], 'unknown flag --no-model; mpserve --help lists the flags'],
  [['--app', 'x'], 'unknown flag --app; mpserve --help lists the flags'],
  [['-x'], 'unknown flag -x; mpserve --help lists the flags'],
  [['--model'], '--model needs a value; write --model=VALUE'],
  [['--bind', '--model', 'ppc'], '--bind needs a value; write --bind=VALUE'],
  [['--model', '-h'], '--model needs a value; write --model=VALUE'],
  [['--model', 'ppc', '--model=tpc', '--model', ''], '--model is given 3 times (ppc, tpc, ); give it once'],
  [['--daemon=yes'], '--daemon takes no value: write --daemon or --no-daemon, not --daemon=yes'],
  [['--help=1'], '--help takes no value: write --help or --no-help, not --help=1'],
])('%j is refused', async (argv, message) => {
  await expect(readArguments(argv, options, switches)).rejects.toMatchObject({ name: 'StartupError', message });
});
