// Looks at the first bytes of connections and leaves them in the kernel (MSG_PEEK), so that a connection can still be handed
// over. Node waits for bytes only by reading them, so one timer looks at the connections that wait: each millisecond at
// first, as most clients send at once, and the less often the longer nothing comes.
import { now } from '../clock.js';
import { checked, libc, type SystemCallError } from '../os/libc.js';
import { MSG_DONTWAIT } from '../os/socket-constants.js';
import { bytesReceived } from '../os/tcp-info.js';

const MSG_PEEK = 2;
/** Between two looks at a connection (milliseconds): a part of the time that it has waited for, within these bounds. */
const lookEvery = { part: 1 / 16, minMs: 1, maxMs: 100 };
/** Bytes that are looked at: as long as the head of a request may be in Node. */
export const maxFirstBytes = 16_384;

/** @returns what the bytes say; undefined when more of them are needed */
export type Recognise<T> = (bytes: Buffer) => T | undefined;

interface Waiting {
  readonly since: number;
  readonly until: number;
  readonly waiter: object | undefined;
  /** When it is looked at next. */
  dueAt: number;
  /** @returns whether nothing is to be waited for any more */
  look(): boolean;
  giveUp(): void;
}

/** For one look at a time. */
const buffer = Buffer.allocUnsafe(maxFirstBytes);
const waiting = new Set<Waiting>();
let timer: NodeJS.Timeout | undefined;
/** When it fires. */
let timerAt = 0;

/**
 * @param recognise looks at up to `maxFirstBytes`, which are gone afterwards
 * @param waiter of which `giveUpWaiting` makes it late before its time
 * @returns `closed` when the client has closed or reset the connection, `late` when `ms` milliseconds have passed
 */
export function awaitFirstBytes<T>(
  fd: number,
  ms: number,
  recognise: Recognise<T>,
  waiter?: object,
): Promise<T | 'closed' | 'late'> {
  return new Promise((resolve) => {
    const since = now();
    const one: Waiting = {
      since,
      until: since + ms,
      waiter,
      dueAt: since + lookEvery.minMs,
      look: () => {
        const length = peek(fd);
        if (length === undefined) return false;
        const recognised = length > 0 ? recognise(buffer.subarray(0, length)) : 'closed';
        if (recognised !== undefined) resolve(recognised);
        return recognised !== undefined;
      },
      giveUp: () => resolve('late'),
    };
    if (one.look()) return;
    waiting.add(one);
    lookAt(one.dueAt);
  });
}

/** What the waiter waits for is late now. */
export function giveUpWaiting(waiter: object): void {
  for (const one of waiting) {
    if (one.waiter !== waiter) continue;
    waiting.delete(one);
    if (!one.look()) one.giveUp();
  }
}

/** Takes bytes that have been looked at. @returns false when the connection has been reset since */
export function takeFirstBytes(fd: number, length: number): boolean {
  return libc().recv(fd, buffer, length, MSG_DONTWAIT) === length;
}

/** Whether nothing has been read from an open TCP connection; false where that is not known. Linux only. */
export function isUnread(fd: number): boolean {
  const received = bytesReceived(fd);
  return received !== undefined && received === (peek(fd) ?? 0);
}

/** @returns how many bytes there are; 0 when there will be none, undefined when there are none yet */
function peek(fd: number): number | undefined {
  const { recv } = libc();
  try {
    return checked('recv', recv(fd, buffer, buffer.length, MSG_PEEK | MSG_DONTWAIT));
  } catch (error) {
    return (error as SystemCallError).code === 'EAGAIN' ? undefined : 0;
  }
}

/** A look that is due earlier stays: connections that come one after another must not put it off. */
function lookAt(time: number): void {
  if (timer && timerAt <= time) return;
  clearTimeout(timer);
  timerAt = time;
  timer = setTimeout(lookAtAll, Math.max(0, time - now()));
}

function lookAtAll(): void {
  timer = undefined;
  const time = now();
  let next = Number.POSITIVE_INFINITY;
  for (const one of waiting) {
    if (one.dueAt <= time) {
      const isLate = time >= one.until;
      if (one.look()) waiting.delete(one);
      else if (isLate) {
        waiting.delete(one);
        one.giveUp();
      }
      const { part, minMs, maxMs } = lookEvery;
      one.dueAt = Math.min(one.until, time + Math.min(maxMs, Math.max(minMs, (time - one.since) * part)));
    }
    if (waiting.has(one)) next = Math.min(next, one.dueAt);
  }
  if (waiting.size > 0) lookAt(next);
}
