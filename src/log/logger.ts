// The log of the server: writes events as lines with pino. No other module calls it to log.
import { type DestinationStream, pino } from 'pino';
import type { LogLevel } from '../config/config.js';
import type { ErrorRecord } from '../errors.js';
import { type ServerEvent, wording } from '../events.js';

/** @returns a function that logs an event */
export function openLog(level: LogLevel, stream: DestinationStream): (event: ServerEvent) => void {
  const logger = pino({ level, base: null, serializers }, stream);
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
