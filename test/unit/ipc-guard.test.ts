// A child process that writes invalid data to its IPC channel. Pins the Node internals that the guard uses.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guardChannel } from '../../src/os/ipc-guard.ts';
import { eventually, within } from '../helpers/eventually.ts';

let folder: string;
let script: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-ipc-'));
  script = path.join(folder, 'child.cjs');
  const lines = [
    "const { writeSync } = require('node:fs');",
    "const net = require('node:net');",
    "process.on('message', ({ code }) => eval(code));",
    "process.on('uncaughtException', () => {});",
    "process.send('begun');",
  ];
  writeFileSync(script, lines.join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function withChild(
  use: (child: ChildProcess, heard: unknown[], broken: string[]) => Promise<void>,
): Promise<void> {
  const child = fork(script);
  const heard: unknown[] = [];
  const broken: string[] = [];
  child.on('message', (message, handle) => heard.push(handle ? { message, handle } : message));
  expect(guardChannel(child, (reason) => broken.push(reason))).toBe(true);
  try {
    await eventually('the child', () => heard.includes('begun'));
    await use(child, heard, broken);
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await within('the child to end', gone);
  }
}

test.each([
  ["process.send({ cmd: 'NODE_HANDLE_ACK' })"],
  ["process.send({ cmd: 'NODE_HANDLE_NACK' })"],
  ["process.send({ cmd: 'NODE_HANDLE' })"],
  ['writeSync(process.channel.fd, \'null\\n5\\n[]\\n{"__proto__":{"cmd":"NODE_HANDLE"}}\\n\')'],
])('%s does no harm, and later messages arrive', async (code) => {
  await withChild(async (child, heard, broken) => {
    child.send({ code: `${code}; setTimeout(() => process.send('after'), 50)` });
    await eventually('what follows', () => heard.includes('after'));
    expect(broken).toEqual([]);
  });
});

test('a handle from the child is closed and acknowledged', async () => {
  await withChild(async (child, heard, broken) => {
    const code = `const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      process.send('a server', server, () => server.close(() => process.send({ port })));
    })`;
    child.send({ code });
    const sent = await eventually(
      'what follows',
      () => heard.find((one) => typeof one === 'object') as { port: number },
    );
    expect(heard).not.toContain('a server');
    expect(broken).toEqual([]);
    // The child has closed its own: if one were open here, the system would accept.
    const client = connect(sent.port, '127.0.0.1');
    const [error] = await within('an answer', once(client, 'error'));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });
});

test.each([
  ['a line that is not JSON', "writeSync(process.channel.fd, 'x\\n')", /cannot be read/],
  [
    'a line without an end',
    "const piece = Buffer.alloc(65536, 'x'); const more = () => { try { for (;;) writeSync(process.channel.fd, piece); } catch { setTimeout(more, 1); } }; more()",
    /more than 16777216 characters/,
  ],
])('%s breaks the channel once', async (_, code, reason) => {
  await withChild(async (child, __, broken) => {
    child.send({ code });
    await eventually('the report', () => broken.length > 0);
    expect(broken).toEqual([expect.stringMatching(reason)]);
  });
});

test('commands of Node reach the child', async () => {
  await withChild(async (child, heard) => {
    child.send({ code: "process.on('internalMessage', ({ cmd }) => process.send(cmd))" });
    child.send({ cmd: 'NODE_MPSERVE' });
    await eventually('the command', () => heard.includes('NODE_MPSERVE'));
  });
});
