// What an app asks of its thread that only a process has: handlers of signals are never called, and some methods of `process`
// fail. Found while the app loads, which is when nearly all apps ask.

/** Node refuses these in a thread, `umask` and `chdir` not always. */
const methods = [
  'setuid',
  'seteuid',
  'setgid',
  'setegid',
  'setgroups',
  'initgroups',
  'umask',
  'chdir',
  'abort',
] as const;
type Methods = Record<string, ((...args: unknown[]) => unknown) | undefined>;

/** Its handlers are called in a thread as well, when the app is closed; and the supervisor alone handles SIGINT. */
const known = ['SIGTERM', 'SIGINT'];

/** @returns a function that ends the watch, and returns what the app has asked for: `process.setuid()`, `SIGHUP` */
export function watchThreadLimits(): () => readonly string[] {
  const found = new Set<string>();
  const target = process as unknown as Methods;
  const originals = methods.map((name) => [name, target[name]] as const);
  for (const [name, original] of originals) {
    if (!original) continue;
    target[name] = (...args) => {
      try {
        return original.apply(process, args);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_UNSUPPORTED_OPERATION')
          found.add(`process.${name}()`);
        throw error;
      }
    };
  }
  const watching = originals.map(([name]) => target[name]);
  return () => {
    originals.forEach(([name, original], i) => {
      if (original && target[name] === watching[i]) target[name] = original; // unless the app has its own
    });
    const signals = process.eventNames().filter((name) => /^SIG[A-Z]/.test(String(name)));
    return [...found, ...signals.map(String).filter((name) => !known.includes(name))];
  };
}
