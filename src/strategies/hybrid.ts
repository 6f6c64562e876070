// hybrid: processes times threads. With `shared` all threads of all host processes accept on one socket; with
// `dispatch` the host processes share the socket, and each hands a connection to one of its threads in turn. It is
// prethread with a larger number of hosts. Where it comes from: Apache worker.
import { prethread } from './prethread.js';
import type { Model } from './strategy.js';

export const hybrid: Model = {
  ...prethread,
  name: 'hybrid',
  summary: 'processes times threads: a crash of native code takes one process and its threads',
  workers: (cores) => Math.max(2, Math.ceil(cores / 2)),
  threads: () => 2,
};
