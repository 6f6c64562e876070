// The log of the server: writes events as lines with pino. No other module calls it to log.
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Config } from '../config/config.js';
import type { ErrorRecord } from '../errors.js';
import { type ServerEvent, wording } from '../events.js';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';
import { LineQueue } from './line-queue.js';

/** A sink for log lines. */
export type LineStream = Pick<Writable, 'write'>;

/** @returns a function that logs an event */
export function openLog(level: Config['logLevel'], stream: LineStream): (event: ServerEvent) => void {
  const logger = pino({ level, base: null, serializers }, stream as Writable);
  return (event) => {
    const [eventLevel, messageOf] = wording[event.event];
    logger[eventLevel]('pid' in event ? event : { pid: process.pid, ...event }, messageOf(event as never));
  };
}

/** An error in an event is a plain record already; pino's own serializer would give its type as `Object`. */
const serializers = {
  err: (record: ErrorRecord) => record,
  text: () => undefined, // a field of the event `output` that repeats `msg`
};

/** Writes JSON lines, shortened to what the destination writes atomically. */
export function jsonStream({ fd, atomicBytes }: Destination, onResumed: (lost: number) => void): LineStream {
  const queue = new LineQueue(fd, onResumed);
  return {
    write: (line: string) => {
      queue.write(fitLine(line, atomicBytes));
      return true;
    },
  };
}
