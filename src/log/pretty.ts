// Log lines for people, through pino-pretty.
import pretty from 'pino-pretty';
import type { Destination } from './destination.js';
import type { LineStream } from './logger.js';
import { writeWhole } from './write.js';

/** @param colorize for a terminal */
export function prettyStream({ fd }: Destination, colorize: boolean): LineStream {
  const format = pretty.prettyFactory({ colorize, translateTime: 'SYS:HH:MM:ss.l', ignore: 'event,pid,tid' });
  return {
    write: (line: string) => {
      writeWhole(fd, format(line));
      return true;
    },
  };
}
