// Notifies systemd (sd_notify) of the server's state, and sends watchdog pings.
import { Notifier, watchdogMs } from '../os/systemd.js';
import type { Reports } from '../reports/reports.js';

/** @returns a function that stops the notifications */
export function reportToSystemd(reports: Reports, env: NodeJS.ProcessEnv): () => void {
  const notifier = Notifier.open(env);
  if (!notifier) return () => {};
  const unsubscribe = reports.subscribe({
    ready: () => notifier.notify('READY=1', 'STATUS=serving'),
    // Type=notify-reload requires the time on CLOCK_MONOTONIC.
    reloading: () => notifier.notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    reloaded: () => notifier.notify('READY=1', 'STATUS=serving'),
    upgraded: ({ pid }) => {
      notifier.notify(`MAINPID=${pid}`);
      stop(); // the successor notifies systemd from now on
    },
    'operation-failed': ({ action }) => notifier.notify('READY=1', `STATUS=serving; the ${action} failed`),
    scaled: ({ to }) => notifier.notify(`STATUS=serving with ${to} workers`),
    drained: () => notifier.notify('STATUS=drained'),
    stopping: () => notifier.notify('STOPPING=1', 'STATUS=draining'),
  });
  const stop = (): void => {
    clearInterval(timer);
    unsubscribe();
  };
  const timeoutMs = watchdogMs(env);
  const timer = timeoutMs && setInterval(() => notifier.notify('WATCHDOG=1'), timeoutMs / 2).unref();
  return stop;
}
