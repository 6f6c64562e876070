// `mpserve [app]`: opens the logs and runs the supervisor. The log's library is loaded while the workers boot.
import { fstatSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import { Events, type ServerEvent } from '../events.js';
import { recoveredLine } from '../log/access-line.js';
import { type Destination, openLogFile, standardOutput } from '../log/destination.js';
import type { LineStream } from '../log/logger.js';
import { inherit } from '../supervisor/heritage.js';
import { Supervisor } from '../supervisor/supervisor.js';
import type { ProcessOptions } from '../worker/process-runtime.js';
import type { Call } from './commands.js';
import { announceDaemon, isDaemon, startDaemon } from './daemon.js';

/** Resolves to the exit code. @throws StartupError */
export async function serve(load: Call['load']): Promise<number> {
  const loadChecked: typeof load = async (operator) => {
    const loaded = await load(operator);
    const { nodeArg } = loaded.config;
    if (nodeArg.length > 0) (await import('../config/node-arg.js')).checkNodeArguments(nodeArg, loaded.sources.nodeArg);
    return loaded;
  };
  const heritage = inherit();
  const loaded = await loadChecked(heritage?.operator);
  const { config, sources, warnings } = loaded;
  const { logFile, logFormat, logLevel, accessLog } = config;
  if (config.daemon && !isDaemon && !heritage) return startDaemon();
  const output = standardOutput();
  const log = logFile === undefined ? output : openLogFile(logFile, origin(sources.logFile));
  const isPretty = ({ fd }: Destination) => (logFormat === undefined ? isatty(fd) : logFormat === 'pretty');
  const events = new Events();
  const early = collect(events);
  for (const warning of warnings) events.tell({ event: 'warning', warning });

  // Workers write JSON by themselves; what is to be made pretty comes by here, line by line.
  const prettyAccess = accessLog === '-' && isPretty(output);
  let accessStream: LineStream | undefined;
  let access: ProcessOptions['accessLog'];
  if (prettyAccess) access = (line) => void accessStream?.write(`${line}\n`);
  else if (accessLog === '-') access = output;
  else if (accessLog !== undefined) access = openLogFile(accessLog, origin(sources.accessLog));

  const logs = [log, access].filter((one) => typeof one === 'object');
  if (isDaemon) events.on('event', ({ event }) => event === 'ready' && announceDaemon());
  const supervisor = new Supervisor({ loaded, load: loadChecked, accessLog: access, logs, events, heritage });
  const ended = supervisor.run();
  ended.catch(() => {}); // it may fail before the log is there, and is awaited below
  await Promise.race([supervisor.spawned, ended.catch(() => {})]); // before the log's library is loaded
  const onResumed = (lost: number) => events.tell({ event: 'log-resumed', lost });
  const stream = await openLines(log, isPretty(log), onResumed);
  accessStream = prettyAccess && log !== output ? await openLines(output, true, onResumed) : stream;
  const isApart = access === output && log !== output;
  const recover = access && recoverLines(access, isApart ? await openLines(output, false, onResumed) : accessStream);
  await subscribe(events, stream, logLevel, early, recover);
  return ended;
}

type Answered = Extract<ServerEvent, { event: 'request' }>;

/**
 * For what a worker did not come to write any more: into the file that they write to, or to where our own lines go.
 * Whatever else it is may hold us up, and gets none.
 */
function recoverLines(
  access: NonNullable<ProcessOptions['accessLog']>,
  stream: LineStream,
): (request: Answered) => void {
  const isOurs = typeof access === 'function' || access.path === undefined;
  if (!isOurs && !fstatSync(access.fd).isFile()) return () => {};
  const write = isOurs ? (line: string) => stream.write(line) : (line: string) => writeSync(access.fd, line);
  return (request) => {
    try {
      write(recoveredLine(request));
    } catch {} // a full disk, of which the workers tell
  };
}

async function openLines(
  destination: Destination,
  pretty: boolean,
  onResumed: (lost: number) => void,
): Promise<LineStream> {
  if (pretty) return (await import('../log/pretty.js')).prettyStream(destination, isatty(destination.fd), onResumed);
  return (await import('../log/logger.js')).jsonStream(destination, onResumed);
}

/** Events that come before the log is there wait for it. @returns them, and no more of them */
function collect(events: Events): () => readonly ServerEvent[] {
  const early: ServerEvent[] = [];
  const take = (event: ServerEvent): void => void early.push(event);
  events.on('event', take);
  return () => {
    events.off('event', take);
    return early;
  };
}

async function subscribe(
  events: Events,
  stream: LineStream,
  level: Loaded['config']['logLevel'],
  early: () => readonly ServerEvent[],
  recover: ((request: Answered) => void) | undefined,
): Promise<void> {
  const { subscribeLog } = await import('../log/logger.js');
  const log = subscribeLog(events, level, stream);
  const look = (event: ServerEvent): void => void (event.event === 'request' && recover?.(event));
  events.on('event', look);
  for (const event of early()) {
    log(event);
    look(event);
  }
}
