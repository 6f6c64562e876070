// Notifies systemd (sd_notify) of the server's state, and sends watchdog pings.
import type { Events, ServerEvent } from '../events.js';
import { openNotifier, watchdogMs } from '../os/systemd.js';

/** @returns a function that stops the notifications */
export function reportToSystemd(events: Events, env: NodeJS.ProcessEnv): () => void {
  const send = openNotifier(env);
  if (!send) return () => {};
  const messages: { readonly [N in ServerEvent['event']]?: (event: ServerEvent) => readonly string[] } = {
    ready: () => ['READY=1', 'STATUS=serving'],
    // Type=notify-reload requires the time on CLOCK_MONOTONIC.
    reloading: () => ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`],
    reloaded: () => ['READY=1', 'STATUS=serving'],
    upgraded: (event) => [`MAINPID=${'pid' in event ? event.pid : ''}`],
    'operation-failed': (event) => ['READY=1', `STATUS=serving; the ${'action' in event ? event.action : ''} failed`],
    scaled: (event) => [`STATUS=serving with ${'to' in event ? event.to : ''} workers`],
    drained: () => ['STATUS=drained'],
    stopping: () => ['STOPPING=1', 'STATUS=draining'],
  };
  const notify = (event: ServerEvent): void => {
    const lines = messages[event.event]?.(event);
    if (lines) send(...lines);
    if (event.event === 'upgraded') stop(); // the successor notifies systemd from now on
  };
  const stop = (): void => {
    clearInterval(timer);
    events.off('event', notify);
  };
  events.on('event', notify);
  const watchdogTimeoutMs = watchdogMs(env);
  const timer =
    watchdogTimeoutMs === undefined ? undefined : setInterval(() => send('WATCHDOG=1'), watchdogTimeoutMs / 2);
  timer?.unref();
  return stop;
}
