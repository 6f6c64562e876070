// `mpserve [app]`: opens the logs and runs the supervisor. The log's library is loaded while the workers boot.
import { isatty } from 'node:tty';
import type { Loaded } from '../config/load.js';
import { origin, type Source } from '../config/source.js';
import { ExitCode, StartupError } from '../errors.js';
import { Events, type ServerEvent } from '../events.js';
import { type Destination, openLogFile, standardOutput } from '../log/destination.js';
import type { LineStream } from '../log/logger.js';
import type { SpawnOptions } from '../process/spawn.js';
import { Supervisor } from '../supervisor/supervisor.js';

/** Resolves to the exit code. @throws StartupError */
export async function serve({ config, sources, warnings }: Loaded): Promise<number> {
  const { logFile, logFormat, logLevel, accessLog, nodeArg } = config;
  if (nodeArg.length > 0) (await import('../config/node-arg.js')).checkNodeArguments(nodeArg, sources.nodeArg);
  const output = standardOutput();
  const log = logFile === undefined ? output : openLogFile(logFile, origin(sources.logFile));
  const isPretty = ({ fd }: Destination) => (logFormat === undefined ? isatty(fd) : logFormat === 'pretty');
  const events = new Events();
  const early = collect(events);
  for (const warning of warnings) events.tell({ event: 'warning', warning });

  // Workers write JSON by themselves; what is to be made pretty comes by here, line by line.
  const prettyAccess = accessLog === '-' && isPretty(output);
  let accessStream: LineStream | undefined;
  let access: SpawnOptions['accessLog'];
  if (prettyAccess) access = (line) => void accessStream?.write(`${line}\n`);
  else if (accessLog === '-') access = output;
  else if (accessLog !== undefined) access = openLogFile(accessLog, origin(sources.accessLog));

  const supervisor = new Supervisor({ config, sources, accessLog: access, events });
  const ended = supervisor.run().catch((error: unknown) => {
    throw withApp(error, config.app, sources.app);
  });
  ended.catch(() => {}); // it may fail before the log is there, and is awaited below
  const onResumed = (lost: number) => events.tell({ event: 'log-resumed', lost });
  const stream = await openLines(log, isPretty(log), onResumed);
  accessStream = prettyAccess && log !== output ? await openLines(output, true, onResumed) : stream;
  await subscribe(events, stream, logLevel, early);
  return ended;
}

/** Whoever loads the app knows neither what the user called it nor where. */
function withApp(error: unknown, app: string | undefined, source: Source): unknown {
  const blamed = error instanceof StartupError && error.exitCode === ExitCode.app && app !== undefined;
  if (blamed) error.message += ` [app ${app} ${origin(source)}]`;
  return error;
}

async function openLines(
  destination: Destination,
  pretty: boolean,
  onResumed: (lost: number) => void,
): Promise<LineStream> {
  if (pretty) return (await import('../log/pretty.js')).prettyStream(destination, isatty(destination.fd), onResumed);
  return (await import('../log/logger.js')).jsonStream(destination, onResumed);
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
