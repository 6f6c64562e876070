// Looks at the first bytes of connections and leaves them in the kernel (MSG_PEEK), so that a connection can still be handed
// over. Node waits for bytes only by reading them, so one timer looks at all connections that wait: each millisecond at
// first, as most clients send at once, and less often at those that do not.
import { now } from '../clock.js';
import { checked, libc, type SystemCallError } from '../os/libc.js';
import { MSG_DONTWAIT } from '../os/socket-constants.js';

const MSG_PEEK = 2;
const soonMs = 1;
const laterMs = 20;
/** A client that has sent nothing by then is looked at less often (milliseconds). */
const soonForMs = 20;

/** @returns what the bytes say; undefined when more of them are needed */
export type Recognise<T> = (bytes: Buffer) => T | undefined;

interface Waiting {
  readonly since: number;
  readonly until: number;
  /** @returns whether nothing is to be waited for any more */
  look(): boolean;
  giveUp(): void;
}

/** For one look at a time. */
const buffer = Buffer.allocUnsafe(4096);
const waiting = new Set<Waiting>();
let timer: NodeJS.Timeout | undefined;
/** In how many milliseconds it fires at most. */
let timerMs = 0;

/**
 * @param recognise looks at up to 4096 bytes, which are gone afterwards
 * @returns `closed` when the client has closed or reset the connection, `late` when `ms` milliseconds have passed
 */
export function awaitFirstBytes<T>(fd: number, ms: number, recognise: Recognise<T>): Promise<T | 'closed' | 'late'> {
  return new Promise((resolve) => {
    const since = now();
    const one: Waiting = {
      since,
      until: since + ms,
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
    lookIn(soonMs);
  });
}

/** Takes bytes that have been looked at. @returns false when the connection has been reset since */
export function takeFirstBytes(fd: number, length: number): boolean {
  return libc().recv(fd, buffer, length, MSG_DONTWAIT) === length;
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
function lookIn(ms: number): void {
  if (timer && timerMs <= ms) return;
  clearTimeout(timer);
  timerMs = ms;
  timer = setTimeout(lookAtAll, ms);
}

function lookAtAll(): void {
  timer = undefined;
  const time = now();
  let hasNew = false;
  for (const one of waiting) {
    if (one.look()) waiting.delete(one);
    else if (time >= one.until) {
      waiting.delete(one);
      one.giveUp();
    } else hasNew ||= time - one.since < soonForMs;
  }
  if (waiting.size > 0) lookIn(hasNew ? soonMs : laterMs);
}
