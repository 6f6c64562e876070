// Watches the event loop of this process from a thread of its own, which ends the process when it stands still. Started
// with the first connection: a worker that boots does not pay for it.
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { beat } from './heartbeat.js';

const threadFile = fileURLToPath(new URL('../executor/watchdog-entry.cjs', import.meta.url));

export interface WatchdogData {
  readonly counters: Int32Array;
  readonly hangMs: number;
}

export function startWatchdog(hangMs: number): void {
  const counters = new Int32Array(new SharedArrayBuffer(4));
  beat(counters, 0, hangMs);
  const workerData: WatchdogData = { counters, hangMs };
  // It needs next to nothing, but the inspector tells it of every source map.
  const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };
  const thread = new Worker(threadFile, { workerData, resourceLimits, execArgv: [] });
  thread.on('error', () => {}); // without it the server is as it was
  thread.unref();
}
