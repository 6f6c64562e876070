// Sends the corpus to a server, each request on a connection of its own, and tells what came back. The reference is
// recorded with an idle time, as nobody knows yet what is to come. Whoever is compared with it gets all the time it
// needs: it is slow only if something is missing, so a busy machine makes no differences.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { patience } from '../helpers/eventually.js';
import { connectOptions } from '../helpers/wire.js';

export interface Sample {
  readonly src: string;
  readonly id: string;
  readonly raw: Buffer;
}

export interface Outcome {
  /** Whether the server ended the connection, or waits for more. */
  readonly end: 'open' | 'closed';
  /** Status and body of each answer; no body from 400 on, since an error page is each server's own. */
  readonly answers: readonly (readonly [status: number, body: string])[];
}

export const corpus: readonly Sample[] = readFileSync(path.join(import.meta.dirname, 'corpus.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .map(({ src, id, raw }) => ({ src, id, raw: Buffer.from(raw, 'base64') }));

// A connection that is to stay open is looked at again after this time without a byte.
const idleMs = 400;
// After so many differences the rest is not tried: each may cost that time.
const enough = 20;

/** What the server at `url` does with each sample. */
export async function record(url: string, samples: readonly Sample[], jobs = 64): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await inParallel(jobs, samples, async ({ raw }, i) => {
    const exchange = new Exchange(url, raw);
    while (!exchange.closed && ((await exchange.stirs(idleMs)) || (await isLate(url, exchange)))) {}
    outcomes[i] = exchange.outcome();
    exchange.leave();
  });
  return outcomes;
}

/**
 * Whether more came of it than before, because the server or we had not come to it. Whoever connects now is served after
 * it, so when that has its answer, and a moment more has gone by, nothing else is to come.
 */
async function isLate(url: string, exchange: Exchange): Promise<boolean> {
  const before = exchange.received;
  await answered(url);
  await pause(idleMs);
  return exchange.closed || exchange.received > before;
}

async function answered(url: string): Promise<void> {
  const last = new Exchange(url, Buffer.from('GET / HTTP/1.1\r\nhost: last\r\n\r\n'));
  while (last.answers().length === 0 && !last.closed && (await last.stirs(patience))) {}
  last.leave();
}

/** What differs, in words; empty when the server at `url` does with each sample as `expected` says. */
export async function differences(
  url: string,
  samples: readonly Sample[],
  expected: readonly Outcome[],
  jobs = 16,
): Promise<string[]> {
  const found: string[] = [];
  const open = new Map<number, Exchange>();
  const compare = (i: number, exchange: Exchange): void => {
    const [wanted, got] = [JSON.stringify(expected[i]), JSON.stringify(exchange.outcome())];
    if (wanted !== got) found.push(`${samples[i]?.src} ${samples[i]?.id}\n  wanted ${wanted}\n  got    ${got}`);
    exchange.leave();
  };
  await inParallel(jobs, samples, async ({ raw }, i) => {
    if (found.length >= enough) return;
    const wanted = expected[i];
    const exchange = new Exchange(url, raw);
    const deadline = Date.now() + patience;
    const complete = () =>
      wanted?.end === 'open' && exchange.answers().length >= wanted.answers.length && !exchange.closed;
    while (!exchange.closed && !complete() && Date.now() < deadline) await exchange.stirs(patience);
    if (complete()) open.set(i, exchange);
    else compare(i, exchange);
  });
  // Those that must stay open have had as long as the others took. Whoever connects after them is served after
  // them, so once such a one has its answer, all of them have been read.
  await answered(url);
  await pause(idleMs);
  for (const [i, exchange] of open) compare(i, exchange);
  return found;
}

class Exchange {
  closed = false;
  private bytes = Buffer.alloc(0);
  private wake: (stirred: boolean) => void = () => {};
  private readonly socket: net.Socket;

  constructor(url: string, raw: Buffer) {
    this.socket = net.connect(connectOptions(url));
    this.socket.write(raw);
    this.socket.on('data', (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.wake(true);
    });
    for (const event of ['end', 'error', 'close']) this.socket.on(event, () => this.finish());
  }

  /** Resolves at the next byte or the end with true, after `ms` milliseconds without either with false. */
  stirs(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.wake = (stirred) => {
        clearTimeout(timer);
        resolve(stirred);
      };
    });
  }

  answers(): Outcome['answers'] {
    return answersIn(this.bytes.toString('latin1'));
  }

  get received(): number {
    return this.bytes.length;
  }

  outcome(): Outcome {
    return { end: this.closed ? 'closed' : 'open', answers: this.answers() };
  }

  leave(): void {
    this.socket
      .removeAllListeners()
      .on('error', () => {})
      .destroy();
  }

  private finish(): void {
    this.closed = true;
    this.wake(true);
  }
}

function answersIn(text: string): Outcome['answers'] {
  const answers: [number, string][] = [];
  for (let rest = text; rest.startsWith('HTTP/'); ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const head = rest.slice(0, end);
    const status = Number(head.slice(9, 12));
    const [body, length] = bodyOf(head, status, rest.slice(end + 4));
    if (length === undefined) break; // more is to come
    answers.push([status, status < 400 ? body : '']);
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

/** The body, and how many bytes of `rest` it takes; undefined when they have not all come. */
function bodyOf(head: string, status: number, rest: string): [body: string, length: number | undefined] {
  if (status < 200) return ['', 0];
  if (/\r\ntransfer-encoding:\s*chunked/i.test(head)) {
    const end = rest.indexOf('0\r\n\r\n'); // only plain Node's own error answers have chunks, and these are empty
    return [rest.slice(0, end), end < 0 ? undefined : end + 5];
  }
  const length = Number(/\r\ncontent-length:\s*(\d+)/i.exec(head)?.[1] ?? 0);
  return [rest.slice(0, length), rest.length < length ? undefined : length];
}

async function inParallel<T>(jobs: number, items: readonly T[], work: (item: T, i: number) => Promise<void>) {
  const todo = items.entries();
  const job = async () => {
    for (const [i, item] of todo) await work(item, i);
  };
  await Promise.all(Array.from({ length: jobs }, job));
}
