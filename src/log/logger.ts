// The log of the server: turns events into lines with pino. It subscribes; nobody calls it to log.
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Config } from '../config/config.js';
import { type Events, type ServerEvent, wording } from '../events.js';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';
import { writeWhole } from './write.js';

/** Something that lines are written to. */
export type LineStream = Pick<Writable, 'write'>;

export function subscribeLog(events: Events, level: Config['logLevel'], stream: LineStream): void {
  const logger = pino({ level, base: null }, stream as Writable);
  events.on('event', (event) => {
    const [at, sentence] = wording[event.event] as [Config['logLevel'], (e: ServerEvent) => string];
    if (at === 'silent') return;
    logger[at]('pid' in event ? event : { pid: process.pid, ...event }, sentence(event));
  });
}

/** Lines of JSON as they are, in pieces that the destination takes whole. */
export function jsonStream({ fd, whole }: Destination): LineStream {
  return {
    write: (line: string) => {
      writeWhole(fd, fitLine(line, whole));
      return true;
    },
  };
}
