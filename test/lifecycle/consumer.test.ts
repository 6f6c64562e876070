// A project that has installed the package: it compiles against its types, as an ES module and as CommonJS, and runs.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patience } from '../helpers/eventually.ts';
import { root } from '../helpers/server.ts';

const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

const program = `
const config: UserConfig = { app: './app.cjs', port: 0, workers: 1, logLevel: 'silent', gracefulTimeout: '10s' };

async function main(): Promise<void> {
  const server: Server = await serve(config, { env: { GREETING: 'hello' } });
  const status: Status = await server.status();
  const answer: string = await (await fetch(server.url)).text();
  const message: string = await server.scale('+1');
  const failure: unknown = await server.scale(0).catch((error: unknown) => error);
  const kind = failure instanceof ServerError ? failure.kind : 'no error';
  await server.stop({ now: true });
  console.log([answer, status.state, message, kind, await server.exited].join(', '));
}
void main();

// @ts-expect-error: no such option
void (() => serve({ workrs: 1 }));
// @ts-expect-error: no number
void (() => serve({ workers: 'many' }));
// @ts-expect-error: no such change
void ((server: Server) => server.scale('many'));
export const configuration: UserConfig = defineConfig({ maxMemory: '64M' });
`;
const imports =
  "import { defineConfig, type Server, ServerError, serve, type Status, type UserConfig } from 'mpserve';";
const declarations =
  'declare const console: { log(text: string): void };\ndeclare function fetch(url: string): Promise<{ text(): Promise<string> }>;';

let folder: string;
/** What the compiler says. */
let compiled: { readonly status: number | null; readonly stdout: string };
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-consumer-'));
  const npm = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename }] = JSON.parse(
    execFileSync('npm', npm, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  );
  const modules = path.join(folder, 'node_modules');
  const installed = path.join(modules, 'mpserve');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', path.join(folder, filename), '--strip-components=1', '-C', installed]);
  // What npm would install beside it.
  for (const name of readdirSync(path.join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  }
  const put = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  put('app.cjs', 'module.exports = (_req, res) => res.end(process.env.GREETING);');
  put('package.json', '{ "name": "consumer", "private": true }');
  put('esm.mts', `${imports}\n${declarations}\n${program}`);
  put('cjs.cts', `${imports}\n${declarations}\n${program}`);
  put(
    'tsconfig.json',
    JSON.stringify({
      // No types of Node, and the types of the package are checked, too.
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2023'],
        strict: true,
        skipLibCheck: false,
        types: [],
      },
      files: ['esm.mts', 'cjs.cts'],
    }),
  );
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  compiled = { status, stdout };
}, patience);
afterAll(() => rmSync(folder, { recursive: true }));

test('the types of the package are right, for ES modules and for CommonJS', () => {
  expect(compiled).toEqual({ status: 0, stdout: '' });
});

test.each(['esm.mjs', 'cjs.cjs'])('%s runs', (file) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: 'hello, serving, changed from 1 to 2 workers, refused, 0\n',
    stderr: '',
  });
});
