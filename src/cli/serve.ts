// `mpserve [app]`: opens the logs and runs the supervisor. The log's library is loaded while the workers boot.
import { isatty } from 'node:tty';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import { Events, type ServerEvent } from '../events.js';
import { type Destination, openLogFile, standardOutput } from '../log/destination.js';
import type { LineStream } from '../log/logger.js';
import type { SpawnOptions } from '../process/spawn.js';
import { Supervisor } from '../supervisor/supervisor.js';

/** Resolves to the exit code. @throws StartupError */
export async function serve({ config, sources, warnings }: Loaded): Promise<number> {
  const { logFile, logFormat, logLevel, accessLog } = config;
  const log = logFile === undefined ? standardOutput() : openLogFile(logFile, origin(sources.logFile));
  const pretty = logFormat === undefined ? logFile === undefined && isatty(log.fd) : logFormat === 'pretty';
  const events = new Events();
  const early = collect(events);
  for (const warning of warnings) events.tell({ event: 'warning', warning });

  // Workers write JSON by themselves; what is to be made pretty comes by here, line by line.
  const prettyAccess = pretty && logFile === undefined;
  let stream: LineStream | undefined;
  let access: SpawnOptions['accessLog'];
  if (accessLog === '-') access = prettyAccess ? (line) => void stream?.write(`${line}\n`) : standardOutput();
  else if (accessLog !== undefined) access = openLogFile(accessLog, origin(sources.accessLog));

  const supervisor = new Supervisor({ config, bindOrigin: origin(sources.bind), accessLog: access, events });
  const ended = supervisor.run();
  ended.catch(() => {}); // it may fail before the log is there, and is awaited below
  stream = await openLines(log, pretty);
  await subscribe(events, stream, logLevel, early);
  return ended;
}

async function openLines(destination: Destination, pretty: boolean): Promise<LineStream> {
  if (pretty) return (await import('../log/pretty.js')).prettyStream(destination, isatty(destination.fd));
  return (await import('../log/logger.js')).jsonStream(destination);
}

/** Events that come before the log is there wait for it. */
function collect(events: Events): ServerEvent[] {
  const early: ServerEvent[] = [];
  events.on('event', (event) => early.push(event));
  return early;
}

async function subscribe(
  events: Events,
  stream: LineStream,
  level: Loaded['config']['logLevel'],
  early: ServerEvent[],
): Promise<void> {
  const { subscribeLog } = await import('../log/logger.js');
  events.removeAllListeners('event');
  subscribeLog(events, level, stream);
  for (const event of early) events.tell(event);
}
