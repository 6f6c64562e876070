// The log of the server: writes events as lines with pino. No other module calls it to log.
import { type DestinationStream, pino } from 'pino';
import type { LogLevel } from '../config/config.js';
import type { ErrorRecord } from '../errors.js';
import { type ServerEvent, wording } from '../events.js';
import type { Redaction } from './redact.js';

/** @param redact what is in a URL. @returns a function that logs an event */
export function openLog(
  level: LogLevel,
  stream: DestinationStream,
  { text: redact }: Redaction,
): (event: ServerEvent) => void {
  const urls = { url: redact, fingerprint: redact, purged: redact };
  // In other events it is how many there were.
  const requests = (all: number | readonly { readonly url: string }[]) =>
    typeof all === 'number' ? all : all.map((one) => ({ ...one, url: redact(one.url) }));
  const logger = pino({ level, base: null, serializers: { ...serializers, ...urls, requests } }, stream);
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
