// The error of an app that does not load: one line that names the cause.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture } from '../helpers/server.ts';
import { host } from './hosted-app.ts';

const ACCEPTED = 'mpserve accepts a server that listens, a (req, res) function, an Express, Koa, Fastify or Hono app';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mpserve-app-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Longer than any test takes, so that no app fails at the deadline. */
const unlimitedMs = 600_000;

async function failureOf(app: string, timeout = unlimitedMs, inThread = false) {
  await using hosted = await host(app, { timeout, inThread });
  const { failure } = hosted;
  expect(failure).toMatchObject({ name: 'StartupError', exitCode: 4 });
  expect(failure.message).not.toContain('\n');
  return failure;
}

async function failureOfSource(name: string, source: string, timeout?: number) {
  const file = path.join(folder, name);
  await writeFile(file, source);
  const { message } = await failureOf(file, timeout);
  return message.replaceAll(folder, '');
}

describe.each([
  ['a process', false],
  ['a thread', true],
])('in %s', (_, inThread) => {
  test.each([
    ['syntax.cjs', "SyntaxError: Unexpected token ';' (FILE:2)"],
    ['syntax.mjs', "SyntaxError: Unexpected token ';' (FILE:2)"],
    ['throws.cjs', 'Error: no database (FILE:2:9)'],
    ['rejects.mjs', 'TypeError: no database (FILE:2:7)'],
    ['missing-import.cjs', 'Error: Cannot find module \'a-package-that-is-not-there\' (FILE:2:13); run "npm install"'],
    [
      'missing-import.mjs',
      'Error: Cannot find package \'a-package-that-is-not-there\' imported from FILE (FILE:2); run "npm install"',
    ],
  ])('%s fails with the error of the app and its line', async (app, wanted) => {
    const { message, cause } = await failureOf(`broken/${app}`, unlimitedMs, inThread);
    const file = fixture(`broken/${app}`);
    expect(message).toContain(`the app ${file} failed to load: ${wanted.replaceAll('FILE', file)}`);
    expect(cause).toBeDefined();
  });

  test.each([
    ['nothing.cjs', 'exports an object with port, host and does not listen with an http.Server; '],
    ['nothing.mjs', 'exports only host, port and does not listen with an http.Server; '],
  ])('%s exports no app, and fails before the deadline', async (app, wanted) => {
    const { message } = await failureOf(`broken/${app}`, unlimitedMs, inThread);
    expect(message).toContain(wanted + ACCEPTED);
  });
});

test('an https.Server is not served', async () => {
  const { message } = await failureOf('broken/https.cjs');
  expect(message).toContain('listens with an https.Server; mpserve serves plain HTTP/1.1');
  expect(message).toContain('terminate TLS in front');
});

test('an exported https.Server is not served', async () => {
  const source = "module.exports = require('node:https').createServer(() => {});";
  expect(await failureOfSource('https.cjs', source)).toContain('exports an https.Server');
});

test('the error for a missing export names the existing exports and a similar one', async () => {
  const { message } = await failureOf('listener.mjs#admni');
  expect(message).toMatch(/has no export "admni": it exports admin, default; did you mean #admin\?$/);
});

test('the error for a named export that is not an app describes it', async () => {
  expect((await failureOf('broken/nothing.mjs#port')).message).toContain(
    'nothing.mjs#port is a number; mpserve accepts',
  );
});

test('a module that listens only if it is the main one is told that it is not', async () => {
  const source = "import http from 'node:http'; if (import.meta.main) http.createServer().listen(3000);";
  expect(await failureOfSource('main.mjs', source)).toMatch(
    /exports nothing and does not listen with an http\.Server; mpserve cannot set import\.meta\.main: listen without it/,
  );
});

test('a class is not an app; the error asks for an instance', async () => {
  expect(await failureOfSource('class.cjs', 'module.exports = class Shop {};')).toContain(
    'the class Shop (export an instance)',
  );
});

test('a file that does not exist', async () => {
  expect((await failureOf('no-such-app.js')).message).toMatch(
    /no-such-app\.js does not exist; give a file, file#export or a directory$/,
  );
});

test('a syntax error in a module that the app imports has that module’s line', async () => {
  await writeFile(path.join(folder, 'dependency.mjs'), '\n\nconst x = ;\n');
  const message = await failureOfSource('importer.mjs', "import './dependency.mjs';\nconsole.log('never runs');");
  expect(message).toBe("the app /importer.mjs failed to load: SyntaxError: Unexpected token ';' (/dependency.mjs:3)");
});

test('the error for a missing file does not suggest npm install', async () => {
  const message = await failureOfSource('gone.mjs', "import x from './not-here.mjs';\nexport default x;\n");
  expect(message).toContain("Cannot find module '/not-here.mjs' imported from /gone.mjs (/gone.mjs:1)");
  expect(message).not.toContain('npm install');
});

test('a thrown value that is not an Error', async () => {
  expect(await failureOfSource('object.cjs', 'throw { code: 3 };')).toBe(
    'the app /object.cjs failed to load: it threw { code: 3 }',
  );
});

test.each([
  ['rejects', '(async () => {\n  await null;\n  throw new Error("no database");\n})();', ':3:9'],
  ['throws in a timer', 'setTimeout(() => {\n  throw new Error("no database");\n});', ':2:9'],
])('an app that %s before it listens', async (_, source, position) => {
  expect(await failureOfSource('later.cjs', source)).toBe(
    `the app /later.cjs failed to load: Error: no database (/later.cjs${position})`,
  );
});

test('an app that throws after it has called listen()', async () => {
  const source = "import http from 'node:http';\nhttp.createServer().listen(3000);\nthrow new Error('too late');";
  expect(await failureOfSource('after.mjs', source)).toContain('Error: too late (/after.mjs:3:7)');
});

test('the error for an app that is not ready in time names its progress', async () => {
  expect(await failureOfSource('never.mjs', 'await new Promise(() => setInterval(() => {}, 1000));', 300)).toBe(
    'the app /never.mjs was not ready within 300 ms (--boot-timeout): its module is still loading',
  );
  expect(await failureOfSource('busy.cjs', 'setInterval(() => {}, 1000);', 300)).toBe(
    'the app /busy.cjs was not ready within 300 ms (--boot-timeout): it exports an empty object and has not called listen()',
  );
});

test.runIf(!(process.features as { typescript?: unknown }).typescript)(
  'TypeScript where Node does not strip types',
  async () => {
    const { message } = await failureOf('typescript.ts');
    expect(message).toContain('Node 22.18 and newer run TypeScript');
    expect(message).toContain('--node-arg=--import=tsx');
  },
);

test.runIf((process.features as { typescript?: unknown }).typescript)(
  'TypeScript that cannot be stripped',
  async () => {
    expect(await failureOfSource('enum.ts', 'enum E { A }\nexport default E.A;')).toContain(
      'Node only strips types; compile it',
    );
  },
);
