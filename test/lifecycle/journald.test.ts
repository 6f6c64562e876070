// The example of docs/logs.md: systemd-cat passes the log and the access lines to journald, which gets each once. journald runs
// without systemd, in a mount namespace with a /run of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { LogFolder } from '../helpers/log-folder.ts';
import { findProgram } from '../helpers/programs.ts';
import { fixture, root } from '../helpers/server.ts';

const what = 'the example of journald';
const programs = ['systemd-cat', 'journalctl', 'unshare'].map((name) => findProgram([name], '--version', what));
const daemon = '/lib/systemd/systemd-journald';
const canRun = programs.every(Boolean) && [daemon, '/etc/machine-id'].every(existsSync) && process.getuid?.() === 0;
const page = readFileSync(path.join(root, 'docs/logs.md'), 'utf8');

test.runIf(canRun)('journald gets each access line once', { tags: 'long' }, async () => {
  using logs = new LogFolder();
  const [script, control, journal] = [logs.path('run.sh'), logs.path('ctl'), logs.path('journal')];
  const example = page.split('\n').find((line) => line.includes('systemd-cat -t app')) ?? '';
  const server = `"$NODE" "$BIN" "$APP" --bind 127.0.0.1:0 --workers 2 --control ${control}`;
  writeFileSync(
    script,
    `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
echo 0123456789abcdef0123456789abcdef > /run/machine-id
mount --bind /run/machine-id /etc/machine-id
${daemon} &
until [ -S /run/systemd/journal/stdout ]; do sleep 0.1; done
${example.replace('mpserve ./server.js', server)}
journalctl --sync
journalctl --directory /run/log/journal --identifier app --output cat --no-pager > ${journal}
kill $!
`,
  );
  const variables = { NODE: process.execPath, BIN: path.join(root, 'bin/mpserve.js'), APP: fixture('plain.cjs') };
  const shell = spawn('unshare', ['--mount', '--propagation', 'private', '--kill-child', '--fork', 'sh', script], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(shell, 'exit');
  try {
    await eventually('the control socket', () => existsSync(control));
    const { json } = await eventually('the server', async () => {
      const answer = await ask(control, 'GET', '/status').catch(() => undefined);
      return answer?.json.state === 'serving' ? answer : undefined;
    });
    const clients = new Clients(json.urls[0], 4, 'kept-alive');
    await eventually('requests', () => clients.done > 500);
    const { answered, failures } = await clients.stop();
    expect(failures).toEqual([]);
    expect(await ask(control, 'POST', '/stop')).toMatchObject({ status: 200 });
    expect(await within('the shell to end', ended)).toEqual([0, null]);
    const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -1);
    const ids = lines.flatMap((line) => JSON.parse(line).reqId ?? []);
    expect(ids.length).toBe(answered);
    expect(new Set(ids).size).toBe(answered);
  } finally {
    await ask(control, 'POST', '/stop').catch(() => {}); // it has stopped already, unless the test has failed
    shell.kill();
    await within('the shell to end', ended);
  }
});
