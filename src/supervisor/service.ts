// Notifies systemd (sd_notify) of the server's state, and sends watchdog pings.
import { openNotifier, watchdogMs } from '../os/systemd.js';
import type { Reports } from '../reports/reports.js';

/** @returns a function that stops the notifications */
export function reportToSystemd(reports: Reports, env: NodeJS.ProcessEnv): () => void {
  const notify = openNotifier(env);
  if (!notify) return () => {};
  const unsubscribe = reports.subscribe({
    ready: () => notify('STATUS=serving, on probation'),
    'probation-passed': () => notify('READY=1', 'STATUS=serving'),
    down: () => notify('STATUS=down: no worker can serve'),
    up: () => notify('STATUS=serving'),
    // Type=notify-reload requires the time on CLOCK_MONOTONIC.
    reloading: () => notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    reloaded: () => notify('READY=1', 'STATUS=serving'),
    upgraded: ({ pid }) => {
      notify(`MAINPID=${pid}`);
      stop(); // the successor notifies systemd from now on
    },
    'operation-failed': ({ action }) => notify('READY=1', `STATUS=serving; the ${action} failed`),
    scaled: ({ to }) => notify(`STATUS=serving with ${to} workers`),
    drained: () => notify('STATUS=drained'),
    stopping: () => notify('STOPPING=1', 'STATUS=draining'),
  });
  const stop = (): void => {
    clearInterval(timer);
    unsubscribe();
  };
  const timeoutMs = watchdogMs(env);
  const timer = timeoutMs && setInterval(() => notify('WATCHDOG=1'), timeoutMs / 2).unref();
  return stop;
}
