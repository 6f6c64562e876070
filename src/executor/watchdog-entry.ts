// The inside of the thread that watches its process. What it finds out, the process tells itself, in a pause of the
// code in which it is stuck; then it ends.
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import { stuckSignal } from '../process/messages.js';
import { Observer } from './heartbeat.js';
import { interrogate, type Target, type TargetEvent } from './stuck.js';
import type { WatchdogData } from './watchdog.js';

/** An app may have a handler for the signal, which will not be called (milliseconds). */
const escalateMs = 200;

const { counters, hangMs }: WatchdogData = workerData;

new Observer(hangMs).watch(0, counters, 0, (ms) => {
  void Promise.resolve()
    .then(() => interrogate(mainThread(), ms))
    .catch(() => false)
    .then((hasTold) => {
      // What it is ended by tells the supervisor that it was stuck, where it could not say so itself.
      process.kill(process.pid, hasTold ? 'SIGKILL' : stuckSignal);
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), escalateMs);
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
