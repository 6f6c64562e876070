// The example of docs/logs.md: logger passes the access lines to rsyslog, which gets each once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { LogFolder } from '../helpers/log-folder.ts';
import { findProgram, type Program } from '../helpers/programs.ts';
import { fixture, root } from '../helpers/server.ts';

const rsyslogd = findProgram(['rsyslogd'], '-v', 'the examples of rsyslog');
const logger = findProgram(['logger'], '--version', 'the examples of rsyslog');
const page = readFileSync(path.join(root, 'docs/logs.md'), 'utf8');
const app = fixture('plain.cjs');
/** Longer than logger takes by default. */
const long = `/?${'x'.repeat(1800)}`;

/** A block of the page, with paths of ours. @param start of its first line */
function example(start: string, folder: string): string {
  const block = page.split('```\n').find((one) => one.startsWith(start)) ?? '';
  return block.replaceAll('/run/app/', `${folder}/`).replaceAll('/var/log/', `${folder}/`);
}

/** Of an unpacked rsyslog; the one of the system knows where they are. */
function modulesOf({ command }: Program): readonly string[] {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const dir = path.join(path.dirname(command), `../lib/${machine}-linux-gnu/rsyslog`);
  return existsSync(dir) ? ['-M', dir] : [];
}

test.runIf(rsyslogd && logger)('rsyslog gets each access line once', { tags: 'long' }, async () => {
  using logs = new LogFolder();
  const { command, env } = rsyslogd as Program;
  const config = logs.path('rsyslog.conf');
  writeFileSync(config, `global(workDirectory="${logs.folder}")\n${example('module(', logs.folder)}`);
  const args = ['-n', '-f', config, '-i', logs.path('pid'), ...modulesOf(rsyslogd as Program)];
  const daemon = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const daemonEnded = once(daemon, 'exit');
  const [control, log] = [logs.path('ctl'), logs.path('server.log')];
  const line = example('mpserve ', logs.folder)
    .replace('mpserve ./server.js', `exec "$NODE" "$BIN" "$APP" --bind 127.0.0.1:0 --workers 2 --control ${control}`)
    .replace('server.log', log);
  try {
    await eventually('the socket', () => existsSync(logs.path('log.sock')));
    const variables = { NODE: process.execPath, BIN: path.join(root, 'bin/mpserve.js'), APP: app };
    const shell = spawn('sh', ['-c', line], { env: { ...process.env, ...variables }, stdio: 'inherit' });
    const ended = once(shell, 'exit');
    const ready = await eventually('the server', () => {
      const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
      return lines.find((one) => one.includes('"event":"ready"'));
    });
    const clients = new Clients(JSON.parse(ready).url, 4, 'kept-alive', long);
    await eventually('requests', () => clients.done > 500);
    const { answered, failures } = await clients.stop();
    expect(failures).toEqual([]);
    expect(await ask(control, 'POST', '/stop')).toMatchObject({ status: 200 });
    await within('the shell to end', ended);
    const lines = () => readFileSync(logs.path('central.log'), 'utf8').split('\n').slice(0, -1);
    await eventually('all lines', () => lines().length >= answered);
    const ids = lines().map((one) => JSON.parse(one).reqId);
    expect(ids.length).toBe(answered);
    expect(new Set(ids).size).toBe(answered);
  } finally {
    await ask(control, 'POST', '/stop').catch(() => {}); // it has stopped already, unless the test has failed
    daemon.kill();
    await within('rsyslogd to end', daemonEnded);
  }
});
