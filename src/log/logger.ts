// The log of the server: subscribes to events and writes them as lines with pino. No other module calls it to log.
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Config } from '../config/config.js';
import { type ErrorRecord, type Events, type ServerEvent, wording } from '../events.js';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';
import { LineQueue } from './line-queue.js';

/** A sink for log lines. */
export type LineStream = Pick<Writable, 'write'>;

/** @returns a function that logs one event, for events that were emitted before the subscription */
export function subscribeLog(
  events: Events,
  level: Config['logLevel'],
  stream: LineStream,
): (event: ServerEvent) => void {
  const logger = pino({ level, base: null, serializers }, stream as Writable);
  const log = (event: ServerEvent): void => {
    const [eventLevel, messageOf] = wording[event.event] as [Config['logLevel'], (e: ServerEvent) => string];
    if (eventLevel === 'silent') return;
    logger[eventLevel]('pid' in event ? event : { pid: process.pid, ...event }, messageOf(event));
  };
  events.on('event', log);
  return log;
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
