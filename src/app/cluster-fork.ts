// Notices that the app forks workers of its own with node:cluster.

type Cluster = typeof import('node:cluster').default;

/** Node's list of the modules that it has loaded. */
const loadedModules = (process as { readonly moduleLoadList?: readonly string[] }).moduleLoadList;

/** To be called when the module of the app has been loaded. Settles when the app forks, at once if it has forked before. */
export function watchForFork(): Promise<void> {
  // To load it as well would take a third of a millisecond, and fill the heap so that V8 cleans it up before a worker of
  // ppc has answered.
  if (loadedModules && !loadedModules.includes('NativeModule cluster')) return new Promise(() => {});
  const cluster = process.getBuiltinModule('node:cluster') as unknown as Cluster;
  if (Object.keys(cluster.workers ?? {}).length > 0) return Promise.resolve();
  const { fork } = cluster;
  return new Promise((resolve) => {
    cluster.fork = (...args) => {
      cluster.fork = fork;
      resolve();
      return fork.apply(cluster, args);
    };
  });
}
