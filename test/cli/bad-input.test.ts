// Invalid input: mpserve prints one line on stderr, nothing on stdout and no stack, and exits with a documented code.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve, type RunOptions } from './command.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(path.join(os.tmpdir(), 'mpserve-bad-'));
  const files = {
    'broken.json': '{\n  "workers": 2\n  "threads": 2\n}',
    'broken.mjs': 'export default {\n  workers: 2\n  threads: 2,\n};',
    'broken.cjs': 'module.exports = {\n  workers: 2\n  threads: 2,\n};',
    'throws.mjs': '\nthrow new Error("no\\nway");',
    'rejects.mjs': 'export default async () => {\n  throw new TypeError("later");\n};',
    'number.mjs': 'export default 3;',
    'empty.mjs': '',
    'conf.js': '',
    'key.json': '{ "modle": "ppc" }',
  };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(path.join(cwd, name), text)));
});
afterAll(() => rm(cwd, { recursive: true }));

test.each<[string, string[], number, string | RegExp]>([
  ['an unknown flag', ['--workrs', '3'], 2, 'unknown flag --workrs; did you mean --workers?'],
  ['an unknown model', ['--model', 'preforkk'], 2, /^--model must be .*, not 'preforkk'; did you mean prefork\?$/],
  ['a missing value', ['--bind'], 2, '--bind needs a value; write --bind=VALUE'],
  ['a value out of range', ['--workers', '1025'], 2, /^--workers must be .* from 1 to 1024, or auto, not '1025'$/],
  ['a flag given twice', ['--model', 'ppc', '--model', 'tpc'], 2, '--model is given 2 times (ppc, tpc); give it once'],
  ['two apps', ['a', 'b'], 2, "unexpected argument 'b' after 'a'; usage: mpserve serve [app]"],
  [
    'a flag of another command',
    ['--json'],
    2,
    '--json only works with mpserve ctl, mpserve bench, mpserve advise, mpserve prove and mpserve config; remove it',
  ],
  ['an unknown shell', ['completion', 'tcsh'], 2, "the shell must be bash, zsh or fish, not 'tcsh'"],
  ['a bad address', ['--bind', '::1'], 2, /^--bind must have its IPv6 address in brackets/],
  [
    'a rate without a unit',
    ['--rate-limit', '100'],
    2,
    "--rate-limit must have a unit: N/s, N/m, N/h or N/d (a second, minute, hour or day), not '100'",
  ],
  ['a rate of an unknown unit', ['--rate-limit', '100/w'], 2, /^--rate-limit must have a unit: .*, not '100\/w'$/],
  ['a rate of 0', ['--rate-limit', '0/s'], 2, /^--rate-limit must allow 1 to 1000000 requests, .*, not '0\/s'$/],
  ['a burst of 0', ['--rate-limit', '1/s:burst=0'], 2, /^--rate-limit must have a burst of 1 to 1000000 requests, /],
  [
    'a rate by what is neither an address nor a header',
    ['--rate-limit', '1/s by cookie'],
    2,
    "--rate-limit must end in 'by ip' or 'by header:NAME', not '1/s by cookie'",
  ],
  ['a rate by an invalid header', ['--rate-limit', '1/s by header:a:b'], 2, /^--rate-limit must name a header after /],
  ['what is no rate', ['--rate-limit', 'fast'], 2, /^--rate-limit must be a rate such as '100\/s', .*, not 'fast'$/],
  [
    'a log that is rotated at a small size',
    ['--log-rotate', '1k', '--log-file', 'a.log'],
    2,
    "--log-rotate must be daily, hourly, or a size such as 100M, from 64k to 1T, not '1k'",
  ],
  [
    'no log to rotate',
    ['--log-rotate', 'daily'],
    2,
    /^--log-rotate needs a file to rotate: name one with --log-file or /,
  ],
  ['no log but standard output', ['--log-rotate', 'daily', '--access-log', '-'], 2, /^--log-rotate needs a file/],
  ['no rotated file to keep', ['--log-keep', '0'], 2, "--log-keep must be a whole number from 1 to 100000, not '0'"],
  [
    'an unknown variable',
    ['--access-log-format', '$remote_addr $statsu'],
    2,
    "--access-log-format must have variables that docs/logs.md lists, as $status or $http_host, not 'statsu'; did you mean status?",
  ],
  [
    'an unknown format',
    ['--access-log-format', 'comon'],
    2,
    /^--access-log-format must be json, .*, not 'comon'; did you mean common\?$/,
  ],
  [
    'a sample of all and more',
    ['--access-log-sample', '2'],
    2,
    /^--access-log-sample must be a number from 0 to 1, .*, not '2'$/,
  ],
  [
    'a header that is none',
    ['--log-redact', 'a b'],
    2,
    /^--log-redact must be the name of a query parameter or a header, /,
  ],
  ['a bad duration', ['--header-timeout', '5x'], 2, /^--header-timeout must be a time such as .*, not '5x'$/],
  ['a missing configuration file', ['--config', 'gone.json'], 2, /gone\.json \(from --config\): ENOENT: no such file/],
  ['broken JSON', ['--config', 'broken.json'], 2, /broken\.json:3: Expected ',' or '}' after property value/],
  ['a broken ES module', ['--config', 'broken.mjs'], 2, /broken\.mjs:3: SyntaxError: Unexpected identifier/],
  ['a broken CommonJS module', ['--config', 'broken.cjs'], 2, /broken\.cjs:3: SyntaxError: Unexpected identifier/],
  ['a file that throws', ['--config', 'throws.mjs'], 2, /throws\.mjs:2: Error: no\\nway$/],
  ['a function that rejects', ['--config', 'rejects.mjs'], 2, /rejects\.mjs:2: TypeError: later$/],
  ['a file that exports a number', ['--config', 'number.mjs'], 2, /number\.mjs must export an object, .*, not number$/],
  ['a file that exports nothing', ['--config', 'empty.mjs'], 2, /empty\.mjs must export an object, .*, not nothing$/],
  ['an unknown key', ['--config', 'key.json'], 2, /^unknown key 'modle' in .*key\.json; did you mean model\?$/],
  ['an app that does not exist', ['./gone.js'], 4, /^the app '\.\/gone\.js' \(from the command line\) does not exist/],
  ['a mistyped command', ['confg'], 4, /; did you mean mpserve config\?$/],
  [
    'a path after --watch',
    ['app.js', '--watch', 'src'],
    2,
    "unexpected argument 'src' after 'app.js'; to watch it, write --watch=src",
  ],
  ['a mistyped command before an app', ['serv', 'app.js'], 2, "unknown command 'serv'; did you mean mpserve serve?"],
  [
    'the word of another tool',
    ['start', 'app.js', '-p', '0'],
    2,
    "unknown command 'start'; did you mean mpserve serve?",
  ],
  ['the word of another tool alone', ['run'], 4, /; did you mean mpserve serve\?$/],
  ['a command of ctl', ['reload'], 4, /; did you mean mpserve ctl reload\?$/],
  ['a model before an app', ['prefrok', 'app.js'], 2, "unknown command 'prefrok'; did you mean --model prefork?"],
  [
    'a command that is named before a mistyped one',
    ['serve', 'serv', 'app.js'],
    2,
    "unexpected argument 'app.js' after 'serv'; usage: mpserve serve [app]",
  ],
  [
    'an app with the name of a mistyped command',
    ['conf', 'app.js'],
    2,
    "unexpected argument 'app.js' after 'conf'; usage: mpserve serve [app]",
  ],
  ['a name with control characters', ['\u001b[2J\n'], 4, /^the app '\\x1B\[2J\\n'/],
  ['a flag with control characters', ['--\u001b[2J'], 2, /^unknown flag --\\u001b\[2J; mpserve --help/],
])('%s', async (_name, args, code, message) => {
  await expectError(args, { cwd }, code, message);
});

test('an invalid environment variable is named in the message', async () => {
  const env = { MPSERVE_BACKLOG: 'x' };
  await expectError([], { cwd, env }, 2, /^MPSERVE_BACKLOG must be a whole number from 1 to 65535, not 'x'$/);
});

test('on Windows mpserve prints one line and exits 3', async () => {
  const preload = "data:text/javascript,Object.defineProperty(process,'platform',{value:'win32'})";
  await expectError([], { node: ['--import', preload] }, 3, /^runs on Linux and macOS; on Windows/);
});

test('on a Node version that is too old mpserve prints one line and exits 3', async () => {
  const preload = "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.18.3'}})";
  await expectError([], { node: ['--import', preload] }, 3, /^needs Node 20\.19 or newer; this is /);
});

test.each([
  ['--log-level debug', ['--log-level', 'debug'], {}],
  ['--log-level=trace', ['--log-level=trace'], {}],
  ['MPSERVE_LOG_LEVEL', [], { MPSERVE_LOG_LEVEL: 'debug' }],
])('%s adds the stacks of the error and of its cause', async (_name, args, env) => {
  const { code, stdout, stderr } = await mpserve(['--config', 'throws.mjs', ...args], { cwd, env });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(
    /^mpserve: .*throws\.mjs:2: Error: no\\nway\n {4}at .*\n[\s\S]*\ncaused by Error: no\nway\n {4}at /,
  );
});

async function expectError(args: string[], options: RunOptions, code: number, message: string | RegExp) {
  const outcome = await mpserve(args, options);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: '' });
  expect(outcome.stderr).toMatch(/^mpserve: [^\n]*\n$/);
  const line = outcome.stderr.slice('mpserve: '.length, -1);
  if (typeof message === 'string') expect(line).toBe(message);
  else expect(line).toMatch(message);
}
