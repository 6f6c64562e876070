// `mpserve [app]`: opens the logs and runs the supervisor. The log library is loaded while the workers boot.
import { fstatSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import { Events, type ServerEvent } from '../events.js';
import { recoveredLine } from '../log/access-line.js';
import { type Destination, openLogFile, standardOutput } from '../log/destination.js';
import { fitLine } from '../log/line.js';
import { LineQueue } from '../log/line-queue.js';
import { inheritState } from '../supervisor/successor.js';
import { Supervisor } from '../supervisor/supervisor.js';
import type { ProcessOptions } from '../worker/process-runtime.js';
import type { Call } from './commands.js';
import { announceDaemon, isDaemon, startDaemon } from './daemon.js';

/** Resolves to the exit code. @throws StartupError */
export async function serve(load: Call['load']): Promise<number> {
  const loadChecked: typeof load = async (overrides) => {
    const loaded = await load(overrides);
    const { nodeArg } = loaded.config;
    if (nodeArg.length > 0) (await import('../config/node-arg.js')).checkNodeArguments(nodeArg, loaded.sources.nodeArg);
    return loaded;
  };
  const inherited = inheritState();
  const loaded = await loadChecked(inherited?.operator);
  const { config, sources, warnings } = loaded;
  const { logFile, logFormat, logLevel, accessLog } = config;
  if (config.daemon && !isDaemon && !inherited) return startDaemon();
  const output = standardOutput();
  const log = logFile === undefined ? output : openLogFile(logFile, origin(sources.logFile));
  const isPretty = ({ fd }: Destination) => (logFormat === undefined ? isatty(fd) : logFormat === 'pretty');
  const events = new Events();
  const earlyEvents = collect(events);
  for (const warning of warnings) events.tell({ event: 'warning', warning });

  // Workers write JSON lines to the access log themselves. Pretty lines pass through the supervisor instead.
  const prettyAccess = accessLog === '-' && isPretty(output);
  let accessStream: LineQueue | undefined;
  let access: ProcessOptions['accessLog'];
  if (prettyAccess) access = (line) => void accessStream?.write(`${line}\n`);
  else if (accessLog === '-') access = output;
  else if (accessLog !== undefined) access = openLogFile(accessLog, origin(sources.accessLog));

  const logs = [log, access].filter((one) => typeof one === 'object');
  if (isDaemon) events.on('event', ({ event }) => event === 'ready' && announceDaemon());
  const supervisor = new Supervisor({ loaded, load: loadChecked, accessLog: access, logs, events, inherited });
  const ended = supervisor.run();
  ended.catch(() => {}); // may reject before the log is open; awaited below
  await Promise.race([supervisor.spawned, ended.catch(() => {})]); // the workers start before the log library is loaded
  const onResumed = (lost: number) => events.tell({ event: 'log-resumed', lost });
  const stream = await openLines(log, isPretty(log), onResumed);
  accessStream = prettyAccess && log !== output ? await openLines(output, true, onResumed) : stream;
  const isSeparate = access === output && log !== output;
  const recover = access && recoverLines(access, isSeparate ? await openLines(output, false, onResumed) : accessStream);
  await subscribe(events, stream, logLevel, earlyEvents, recover);
  return ended;
}

type RequestEvent = Extract<ServerEvent, { event: 'request' }>;

/**
 * Writes the access lines of requests whose worker died before it wrote them: to the access log file, or through the
 * supervisor's own stream. A destination that is neither could block the supervisor, so it gets no such lines.
 */
function recoverLines(
  access: NonNullable<ProcessOptions['accessLog']>,
  stream: LineQueue,
): (request: RequestEvent) => void {
  const isOwnStream = typeof access === 'function' || access.path === undefined;
  if (!isOwnStream && !fstatSync(access.fd).isFile()) return () => {};
  const write = isOwnStream ? (line: string) => stream.write(line) : (line: string) => writeSync(access.fd, line);
  return (request) => {
    try {
      write(recoveredLine(request));
    } catch {} // such as a full disk, which the workers report
  };
}

async function openLines(
  { fd, atomicBytes }: Destination,
  pretty: boolean,
  onResumed: (lost: number) => void,
): Promise<LineQueue> {
  const format = pretty
    ? (await import('../log/pretty.js')).prettyFormat(isatty(fd))
    : (json: string) => fitLine(json, atomicBytes);
  return new LineQueue(fd, format, onResumed);
}

/** Collects events until the log is open. @returns a function that stops collecting and returns the events */
function collect(events: Events): () => readonly ServerEvent[] {
  const collected: ServerEvent[] = [];
  const take = (event: ServerEvent): void => void collected.push(event);
  events.on('event', take);
  return () => {
    events.off('event', take);
    return collected;
  };
}

async function subscribe(
  events: Events,
  stream: LineQueue,
  level: Loaded['config']['logLevel'],
  earlyEvents: () => readonly ServerEvent[],
  recover: ((request: RequestEvent) => void) | undefined,
): Promise<void> {
  const { subscribeLog } = await import('../log/logger.js');
  const log = subscribeLog(events, level, stream);
  const recoverLine = (event: ServerEvent): void => void (event.event === 'request' && recover?.(event));
  events.on('event', recoverLine);
  for (const event of earlyEvents()) {
    log(event);
    recoverLine(event);
  }
}
