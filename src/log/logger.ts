// The log of the server: subscribes to events and writes them as lines with pino. No other module calls it to log.
import { type DestinationStream, pino } from 'pino';
import type { Config } from '../config/config.js';
import { type ErrorRecord, type Events, type ServerEvent, wording } from '../events.js';

/** @returns a function that logs one event, for events that were emitted before the subscription */
export function subscribeLog(
  events: Events,
  level: Config['logLevel'],
  stream: DestinationStream,
): (event: ServerEvent) => void {
  const logger = pino({ level, base: null, serializers }, stream);
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
