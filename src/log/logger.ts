// The log of the server: turns events into lines with pino. It subscribes; nobody calls it to log.
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Config } from '../config/config.js';
import { type ErrorRecord, type Events, type ServerEvent, wording } from '../events.js';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';
import { LineQueue } from './line-queue.js';

/** Something that lines are written to. */
export type LineStream = Pick<Writable, 'write'>;

/** @returns what logs an event, for those that came before */
export function subscribeLog(
  events: Events,
  level: Config['logLevel'],
  stream: LineStream,
): (event: ServerEvent) => void {
  const logger = pino({ level, base: null, serializers }, stream as Writable);
  const log = (event: ServerEvent): void => {
    const [at, sentence] = wording[event.event] as [Config['logLevel'], (e: ServerEvent) => string];
    if (at === 'silent') return;
    logger[at]('pid' in event ? event : { pid: process.pid, ...event }, sentence(event));
  };
  events.on('event', log);
  return log;
}

/** An error came as a record already; pino's own serializer would name its class `Object`. */
const serializers = {
  err: (record: ErrorRecord) => record,
  text: () => undefined, // of `output`, which says it in `msg`
};

/** Lines of JSON as they are, in pieces that the destination takes whole. */
export function jsonStream({ fd, whole }: Destination, onResumed: (lost: number) => void): LineStream {
  const queue = new LineQueue(fd, onResumed);
  return {
    write: (line: string) => {
      queue.write(fitLine(line, whole));
      return true;
    },
  };
}
