// The inside of the thread that watches its process. What it finds out, the process tells itself, in a pause of the
// code in which it is stuck; then it ends.
import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import { Observer } from './heartbeat.js';
import { interrogate, type Target, type TargetEvent } from './stuck.js';
import type { WatchdogData } from './watchdog.js';

const { counters, hangMs, channel, obituary }: WatchdogData = workerData;

new Observer(hangMs).watch(0, counters, 0, (ms) => {
  void Promise.resolve()
    .then(() => interrogate(mainThread(), ms))
    .catch(() => false)
    .then((hasTold) => {
      if (!hasTold) write(obituary);
      process.kill(process.pid, 'SIGKILL');
    });
});
setInterval(() => {}, 2 ** 30); // stays, though the observer would let it go

function mainThread(): Target {
  const session = new Session();
  session.connectToMainThread();
  return {
    post: (method, params) =>
      new Promise((resolve, reject) => {
        session.post(method, params, (error: Error | null, result?: object) =>
          error ? reject(error) : resolve(result),
        );
      }),
    onEvent: (listener) => {
      session.on('inspectorNotification', (event: TargetEvent) => listener(event));
    },
  };
}

/** The owner of the channel stands still, so nobody else writes to it. */
function write(line: string): void {
  try {
    writeSync(channel, line);
  } catch {} // it is full: the supervisor will find the process dead
}
