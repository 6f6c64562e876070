// Log readers that are slow or disconnect and return, and full disks.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { repeating } from '../helpers/placements.ts';
import { fixture, type Line, launchServer, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function makeFifo(name: string): string {
  const file = path.join(folder, name);
  execFileSync('mkfifo', [file]);
  return file;
}

/** The reading end of a named pipe. Reads only in `lines()`. */
class Reader implements Disposable {
  private readonly fd: number;
  private text = '';

  constructor(fifo: string) {
    this.fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** All lines so far. Throws if a line is not valid JSON. */
  lines(): Line[] {
    const chunk = Buffer.alloc(65_536);
    try {
      for (let size = readSync(this.fd, chunk); size > 0; size = readSync(this.fd, chunk)) {
        this.text += chunk.toString('latin1', 0, size);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    const complete = this.text.slice(0, this.text.lastIndexOf('\n') + 1);
    return complete
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  find(event: string): Promise<Line> {
    return eventually(event, () => this.lines().find((line) => line.event === event));
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/**
 * Reads continuously in a separate process. Its exit closes the pipe at once. Closing a `Reader` does not: a child that
 * another test forks at that moment inherits the descriptor until it calls exec.
 */
class ReaderProcess {
  private readonly child: ChildProcess;
  /** Settles when all that write to the pipe have closed it, and everything has been read. */
  readonly finished: Promise<unknown>;
  text = '';

  constructor(fifo: string) {
    this.child = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.text += text;
    });
    this.finished = once(this.child, 'close');
  }

  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  async end(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }
}

const named = (server: Server, name: string) => server.lines.filter(({ event }) => event === name);

for (const model of ['prefork', 'prethread'])
  describe(`an access log that cannot be written, in ${model},`, repeating(model, ['prefork', 'prethread']), () => {
    test('is reported once, and is written again when its reader is back', async () => {
      const fifo = makeFifo(`access-${model}`);
      const reader = new ReaderProcess(fifo);
      const args = ['--workers', '1', '--access-log', fifo, ...(model === 'prethread' ? ['--threads', '1'] : [])];
      await using server = await startServer({ app: fixture('listener.cjs'), model, args });
      using wire = await connect(server.url);
      await wire.ask('GET /read');
      await eventually('the first line', () => reader.text.includes('"url":"/read"'));
      await reader.end();

      await wire.ask('GET /unread');
      const failed = await server.waitFor('the loss', ({ event }) => event === 'access-log-failed');
      expect(failed).toMatchObject({ level: 50, reason: expect.stringContaining('EPIPE') });
      const long = 'x'.repeat(4000);
      for (let n = 0; n < 100; n++) expect((await wire.ask(`GET /${n}?${long}`)).status).toBe(200);
      expect(named(server, 'access-log-failed')).toHaveLength(1);

      using again = new Reader(fifo);
      const resumed = await server.waitFor('the end of the loss', ({ event }) => event === 'access-log-resumed');
      await wire.ask('GET /again');
      const lines = await eventually('the last line', () => {
        const lines = again.lines();
        return lines.some(({ url }) => url === '/again') && lines;
      });
      expect(resumed.lost).toBeGreaterThan(0);
      expect(lines.length + Number(resumed.lost)).toBe(102);
      expect(named(server, 'access-log-failed')).toHaveLength(1);
    });
  });

test.runIf(process.platform === 'linux')(
  'a full disk under the access log is reported once, and requests are still served',
  async () => {
    const args = ['--workers', '1', '--access-log', '/dev/full'];
    await using server = await startServer({ app: fixture('listener.cjs'), args });
    using wire = await connect(server.url);
    const long = 'x'.repeat(4000);
    for (let n = 0; n < 100; n++) expect((await wire.ask(`GET /${n}?${long}`)).status).toBe(200);
    const failed = await server.waitFor('the loss', ({ event }) => event === 'access-log-failed');
    expect(failed.reason).toContain('ENOSPC');
    await server.stop();
    expect(named(server, 'access-log-failed')).toHaveLength(1);
    expect(named(server, 'access-lines-unwritten')).toEqual([expect.objectContaining({ count: 100 })]);
  },
);

// A limit on the size of a file takes the beginning of a write, as a disk does that becomes full.
test.runIf(process.platform === 'linux')(
  'after a full disk the access log has each line whole but those that are reported as lost',
  async () => {
    const file = path.join(folder, 'torn');
    const earlier = `${'-'.repeat(999)}\n`.repeat(2000); // the limit is for the memory of the journal, too, which is smaller
    writeFileSync(file, earlier);
    const args = ['--workers', '2', '--access-log', file];
    await using server = await startServer({ app: fixture('listener.cjs'), accept: 'dispatch', args });
    const limit = (bytes: number | 'unlimited'): void => {
      for (const pid of server.workers()) execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:unlimited`]);
    };
    const text = (): string => readFileSync(file, 'utf8').slice(earlier.length);
    let sent = 0;
    using one = await connect(server.url);
    using two = await connect(server.url); // to the other worker
    const ask = async (rounds: number): Promise<void> => {
      for (let i = 0; i < rounds; i++) {
        for (const wire of [one, two]) await wire.ask(`GET /${sent++}?${'x'.repeat(1000)}`);
      }
    };
    await ask(10);
    await eventually('the first lines', () => text().endsWith('\n') && text().split('\n').length === 21);
    limit(earlier.length + text().length + 500);
    await ask(100); // more than the buffers keep
    expect(named(server, 'access-log-failed')).toHaveLength(2);
    limit('unlimited');
    await eventually('both to write again', () => named(server, 'access-log-resumed').length === 2);
    await ask(10);
    await server.stop();

    const lines = text().trimEnd().split('\n');
    const whole = lines.filter((line) => line.endsWith('}'));
    const lost = named(server, 'access-log-resumed').reduce((sum, line) => sum + Number(line.lost), 0);
    expect(lines.length - whole.length).toBe(1); // the beginning of the line that met the limit
    expect(new Set(whole.map((line) => JSON.parse(line).url)).size).toBe(whole.length);
    expect(lost).toBeGreaterThan(0);
    expect(whole.length + lost).toBe(sent);
  },
);

describe('a log reader that has stopped reading', () => {
  const requests = 300;
  /** Two lines each, of some 3 KB: more than the pipe and the queue hold. */
  const flood = async (url: string, count = requests): Promise<void> => {
    using wire = await connect(url);
    const long = 'x'.repeat(3000);
    for (let n = 0; n < count; n++) expect((await wire.ask(`GET /${n}?${long}`)).status).toBe(200);
  };
  const start = (fifo: string): Server =>
    launchServer({
      app: fixture('prints.cjs'),
      model: 'prefork',
      args: ['--workers', '1', '--capture-output'],
      node: 'sh',
      script: fixture('life-into-file.sh'),
      env: { NODE: process.execPath, INTO: fifo },
    });

  test('does not block the server from serving or stopping', async () => {
    const fifo = makeFifo('unread');
    using reader = new Reader(fifo);
    await using server = start(fifo);
    const { url } = await reader.find('ready');
    await flood(String(url));
    await server.stop();
    expect(reader.lines().length).toBeGreaterThan(10);
  });

  test('gets all queued lines when it reads again while the server stops', async () => {
    const fifo = makeFifo('read-at-the-end');
    // A process of its own: the server waits for it only for a moment at its end, and this one may be busy.
    const reader = new ReaderProcess(fifo);
    await using server = start(fifo);
    const parsed = (): Line[] => {
      const complete = reader.text.slice(0, reader.text.lastIndexOf('\n') + 1);
      return complete
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    };
    const { url } = await eventually('ready', () => parsed().find(({ event }) => event === 'ready'));
    reader.pause();
    await flood(String(url), 50);
    server.child.kill();
    reader.resume();
    await server.exit;
    await reader.finished;
    const lines = parsed();
    expect(lines.at(-1)).toMatchObject({ event: 'stopped' });
    expect(lines.filter(({ event }) => event === 'output')).toHaveLength(2 * 50 + 2);
  });

  test('gets the lines in order when it reads again, and the number of lost lines', async () => {
    const fifo = makeFifo('read-late');
    using reader = new Reader(fifo);
    await using server = start(fifo);
    const { url } = await reader.find('ready');
    await flood(String(url));
    const resumed = await reader.find('log-resumed');
    expect(resumed).toMatchObject({ level: 40, lost: expect.any(Number) });
    expect(resumed.lost).toBeGreaterThan(0);
    const printed = reader.lines().filter(({ event }) => event === 'output');
    expect(printed.length + Number(resumed.lost)).toBe(2 * requests + 2);
    for (const stream of ['stdout', 'stderr']) {
      const numbers = printed
        .filter((line) => line.stream === stream && /request/.test(String(line.msg)))
        .map(({ msg }) => Number(/\/(\d+)/.exec(String(msg))?.[1]));
      expect(numbers.length).toBeGreaterThan(100);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
    await server.stop();
    expect(reader.lines().at(-1)).toMatchObject({ event: 'stopped' });
  });
});
