// Begins the rotation of the log files, where there is one (--log-rotate). Its code is loaded only then.
import type { Config } from '../config/config.js';
import type { Events } from '../events.js';
import type { LogFiles } from './log-files.js';

export interface RotateLogsOptions {
  readonly files: LogFiles;
  readonly logging: Config['logging'];
  readonly events: Events;
  /** Another server is about to open the files. */
  readonly isPaused: () => boolean;
  /** Ends the rotation. */
  readonly signal: AbortSignal;
}

export async function rotateLogs({ files, logging, events, isPaused, signal }: RotateLogsOptions): Promise<void> {
  const { logRotate: rotation } = logging;
  if (rotation === undefined) return;
  for (const dir of files.closedToWorkers) {
    const warning = `the user of the workers may not enter ${dir}, so they cannot open the access log again after a rotation; let them (chmod, chgrp), or move the log`;
    events.tell({ event: 'warning', warning });
  }
  const { LogRotation } = await import('./log-rotation.js');
  if (signal.aborted) return;
  const logRotation = new LogRotation({ files, rotation, logging, events, isPaused });
  signal.addEventListener('abort', () => logRotation.close());
}
