// Why a process or thread has ended, for the metrics.

/** It has been told to: the host knows why. */
export const endReasons = [
  /** By a limit of requests, memory or age. */
  'recycled',
  /** Replaced by one of the next generation. */
  'reload',
  /** Of a new generation, or another model, that has failed. */
  'rollback',
  /** `mpserve ctl scale`, or auto-scaling. */
  'scale-down',
  /** `mpserve ctl drain`. */
  'drain',
  /** Replaced by those of another model, or of the next generation in `ppc`. */
  'switch',
  /** Replaced by those of the successor. */
  'upgrade',
  'stop',
  /** The process that hosts the thread ends. */
  'host',
  /** A thread that had a request for longer than --request-deadline (--unit request). */
  'overdue',
  /** The app has closed its server. */
  'server-closed',
  /** It has had no connection, and none was to come. */
  'unused',
] as const;
export type EndReason = (typeof endReasons)[number];

export const exitCauses = [
  ...endReasons,
  /** With code 0: after its connection in `ppc` and `tpc`, or the app has called `process.exit()`. */
  'exit',
  /** With another code, as after an uncaught exception. */
  'crash',
  'signal',
  /** Its event loop was blocked for --hang-timeout. */
  'hang',
  /** A thread at --max-thread-heap, or a process by SIGABRT, with which Node ends itself when its heap is full, or by the kernel. */
  'out-of-memory',
  /** Before it was ready. */
  'boot',
] as const;
export type ExitCause = (typeof exitCauses)[number];
