// `mpserve [app]`: opens the logs and runs the supervisor. The log library is loaded while the workers boot.
import { fstatSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { origin, setting } from '../config/source.js';
import { configError } from '../errors.js';
import { Events } from '../events.js';
import type { AccessFormat } from '../log/access-entry.js';
import { accessFormat } from '../log/access-format.js';
import { type Destination, openLogFile, standardOutput } from '../log/destination.js';
import { fitLine } from '../log/line.js';
import { LineQueue } from '../log/line-queue.js';
import { recoveredLine } from '../log/recovered-line.js';
import { redaction } from '../log/redact.js';
import { Reports } from '../reports/reports.js';
import { inheritState } from '../supervisor/successor.js';
import { Supervisor } from '../supervisor/supervisor.js';
import type { ProcessOptions } from '../worker/fork.js';
import type { Call } from './call.js';
import { announce, followProgram, startDaemon, starter } from './starter.js';
import { version } from './version.js';

/** Resolves to the exit code. @throws StartupError */
export async function serve(load: Call['load']): Promise<number> {
  const loadChecked: typeof load = async (overrides) => {
    const loaded = await load(overrides);
    const { nodeArg } = loaded.config.processes;
    if (nodeArg.length > 0) (await import('../config/node-arg.js')).checkNodeArguments(nodeArg, loaded.sources.nodeArg);
    return loaded;
  };
  const inherited = inheritState();
  const loaded = await loadChecked(inherited?.operator);
  const { config, sources, warnings } = loaded;
  const { logFile, logFormat, logLevel, logRotate, accessLog } = config.logging;
  const isRotated = logRotate !== undefined;
  if (config.server.daemon && !starter && !inherited) {
    if (process.pid === 1)
      throw configError(
        `${setting(sources.daemon)} does not go with the first process of a container, because the container ends with it; remove it`,
      );
    return startDaemon();
  }
  const output = standardOutput();
  const log = logFile === undefined ? output : openLogFile(logFile, origin(sources.logFile), isRotated);
  const isPretty = ({ fd }: Destination) => (logFormat === undefined ? isatty(fd) : logFormat === 'pretty');
  const events = new Events();
  const reports = new Reports(events);
  for (const warning of warnings) events.tell({ event: 'warning', warning });

  // Workers write JSON lines to the access log themselves. Pretty lines pass through the supervisor instead.
  const { accessLogFormat, logRedact } = config.access;
  const prettyAccess = accessLog === '-' && accessLogFormat === 'json' && isPretty(output);
  let accessStream: LineQueue | undefined;
  let access: ProcessOptions['accessLog'];
  if (prettyAccess) access = (line) => void accessStream?.write(`${line}\n`);
  else if (accessLog === '-') access = output;
  else if (accessLog !== undefined) access = openLogFile(accessLog, origin(sources.accessLog), isRotated);

  const logs = [log, access].filter((one) => typeof one === 'object');
  const supervisor = new Supervisor({
    loaded,
    load: loadChecked,
    accessLog: access,
    logs,
    reports,
    events,
    inherited,
    version: version(),
    endsWithProgram: starter === 'program',
  });
  const started = () => announce({ urls: supervisor.status().urls, control: config.server.control, logFile });
  if (starter) reports.subscribe({ [starter === 'program' ? 'ready' : 'probation-passed']: started });
  followProgram(() => supervisor.stop('the program that started it has exited', false));
  const ended = supervisor.run();
  const spawned = Promise.race([supervisor.spawned, ended.catch(() => {})]); // a rejection is the caller's
  const openLines = async ({ fd, atomicBytes }: Destination, pretty: boolean): Promise<LineQueue> => {
    await spawned; // the workers start before the log library is loaded
    const format = pretty
      ? (await import('../log/pretty.js')).prettyFormat(isatty(fd))
      : (json: string) => fitLine(json, atomicBytes);
    return new LineQueue(fd, format, (lost) => events.tell({ event: 'log-resumed', lost }));
  };
  const stream = openLines(log, isPretty(log));
  const accessLines = accessLog === '-' && log !== output ? openLines(output, prettyAccess) : stream;
  if (access) {
    const { atomicBytes } = typeof access === 'object' ? access : output;
    recoverLines(reports, access, accessLines, accessFormat(accessLogFormat, logRedact, atomicBytes));
  }
  accessStream = await accessLines;
  const { openLog } = await import('../log/logger.js');
  const lines = await stream;
  const write = (line: string): void => {
    lines.write(line);
    supervisor.logged(line);
  };
  const written = config.server.admin === undefined ? lines : { write };
  events.open(openLog(logLevel, written, redaction(logRedact)));
  return ended;
}

/**
 * Writes the access lines of requests whose worker died before it wrote them: to the access log file, or through the
 * supervisor's own stream. A destination that is neither could block the supervisor, so it gets no such lines.
 */
function recoverLines(
  reports: Reports,
  access: NonNullable<ProcessOptions['accessLog']>,
  stream: Promise<LineQueue>,
  format: AccessFormat,
): void {
  const isOwnStream = typeof access === 'function' || access.path === undefined;
  if (!isOwnStream && !fstatSync(access.fd).isFile()) return;
  reports.subscribe({
    'request-ended': async (request) => {
      if (!request.answered) return;
      const line = recoveredLine(format, request, request.answered.status);
      if (isOwnStream) return void (await stream).write(line);
      try {
        writeSync(access.fd, line);
      } catch {} // such as a full disk, which the workers report
    },
  });
}
