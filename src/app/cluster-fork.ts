// Notices that the app forks workers of its own with node:cluster.

type Cluster = typeof import('node:cluster').default;

/** Settles at the first fork. */
export function watchForFork(): Promise<void> {
  // Every server that listens loads it; here it takes 0.1 ms.
  const cluster = process.getBuiltinModule('node:cluster') as unknown as Cluster;
  const { fork } = cluster;
  return new Promise((resolve) => {
    cluster.fork = (...args) => {
      cluster.fork = fork;
      resolve();
      return fork.apply(cluster, args);
    };
  });
}
