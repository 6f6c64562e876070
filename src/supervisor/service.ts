// Tells systemd how the server is, by listening to its events: ready, reloading, stopping, and that it lives.
import type { Events, ServerEvent } from '../events.js';
import { Notifier, watchdogMs } from '../os/systemd.js';

/** @returns a function that ends it */
export function reportToSystemd(events: Events, env: NodeJS.ProcessEnv): () => void {
  const notifier = Notifier.open(env);
  if (!notifier) return () => {};
  const words: { readonly [N in ServerEvent['event']]?: (event: ServerEvent) => readonly string[] } = {
    ready: () => ['READY=1', 'STATUS=serving'],
    // CLOCK_MONOTONIC, as Type=notify-reload wants it.
    reloading: () => ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`],
    reloaded: () => ['READY=1', 'STATUS=serving'],
    upgraded: (event) => [`MAINPID=${'pid' in event ? event.pid : ''}`],
    'operation-failed': (event) => [
      'READY=1',
      `STATUS=serving; the ${'action' in event ? event.action : ''} has failed`,
    ],
    scaled: (event) => [`STATUS=serving with ${'to' in event ? event.to : ''} workers`],
    drained: () => ['STATUS=drained'],
    stopping: () => ['STOPPING=1', 'STATUS=draining'],
  };
  const tell = (event: ServerEvent): void => {
    const lines = words[event.event]?.(event);
    if (lines) notifier.notify(...lines);
    if (event.event === 'upgraded') leave(); // from now on another speaks for the service
  };
  const leave = (): void => {
    clearInterval(timer);
    events.off('event', tell);
  };
  events.on('event', tell);
  const within = watchdogMs(env);
  const timer = within === undefined ? undefined : setInterval(() => notifier.notify('WATCHDOG=1'), within / 2);
  timer?.unref();
  return leave;
}
