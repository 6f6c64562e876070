// hybrid: processes times threads. The host processes share one socket; within each, `dispatch` hands a connection
// to a thread in turn, and with `shared` all threads of all hosts accept on the socket. It is prethread with a larger
// number of hosts. Where it comes from: Apache worker.
import { prethread } from './prethread.js';
import type { Model } from './strategy.js';

export const hybrid: Model = {
  ...prethread,
  name: 'hybrid',
  summary: 'processes times threads: a crash of native code takes one process and its threads',
  workers: (cores) => Math.max(2, Math.ceil(cores / 2)),
  threads: () => 2,
};
