// What an event loop tells of itself when it is asked, for the scoreboard. It does nothing for that until then. Plain data.

/**
 * What an event loop is doing, the first that is true: `blocked`, it has not answered; `starting`; `draining`; `working`, the
 * app has a request whose response has not begun; `writing`, a response is on its way; `reading`, a request is arriving;
 * `keep-alive`, its connections wait for their next requests; `idle`, it has no connection.
 */
export const loopStates = [
  'blocked',
  'starting',
  'draining',
  'working',
  'writing',
  'reading',
  'keep-alive',
  'idle',
] as const;
export type LoopState = (typeof loopStates)[number];

/** A request, its target cut as in the log. */
interface NamedRequest {
  readonly reqId: string;
  readonly method: string;
  readonly url: string;
}

/** A request in flight. */
export interface RequestView extends NamedRequest {
  readonly ageMs: number;
  /** The address of its peer; absent where it is not known. */
  readonly client?: string;
}

/** The last request that has ended. It is known only with --admin. */
export interface LastRequest extends NamedRequest {
  /** 0 if its client had gone before the response. */
  readonly status: number;
  readonly durationMs: number;
  /** For how long the event loop was busy between its beginning and its end, with it or with others (milliseconds). Absent
   * unless the event loop was being looked at `wholly` when the request began. */
  readonly busyMs?: number;
  readonly client?: string;
  /** Milliseconds since it has ended. */
  readonly endedMs: number;
}

/** At most this many requests in flight are told of each event loop, the oldest first. */
export const maxRequestViews = 8;

/** What a look is for: `wholly` for the last requests as well, which costs each request a little for a while. */
export type Look = 'briefly' | 'wholly';

export interface LoopView {
  /** Of the thread; 0 for the main thread of a process. */
  readonly tid: number;
  readonly state: LoopState;
  /** The requests of this thread are those of the process, which has the connections, as well: only the latter are summed. */
  readonly isHosted?: true;
  /** Open connections. */
  readonly connections: number;
  /** Requests that have ended since its start. */
  readonly requests: number;
  /** Requests in flight, of which `oldest` has some. */
  readonly inFlight: number;
  readonly oldest: readonly RequestView[];
  readonly last?: LastRequest;
  /** Bytes from and to clients since its start. */
  readonly received: number;
  readonly sent: number;
  /** Part of the time since the last look for which it was busy, from 0 to 1. */
  readonly utilization: number;
  /** How late its timers were since the last look (milliseconds); absent at the first look. */
  readonly lagMs?: { readonly p50: number; readonly p99: number };
  /** JavaScript heap in use, and what V8 has reserved for it. */
  readonly heapBytes: number;
  readonly heapTotalBytes: number;
  /** Milliseconds since it has told this: it is blocked if that is long. Absent for what it has just told. */
  readonly staleMs?: number;
}

/** The event loops of a worker that have the connections: each request is counted by one of them. */
export function connectedLoops(loops: readonly LoopView[]): readonly LoopView[] {
  return loops.filter(({ isHosted }) => !isHosted);
}

/** The requests in flight of a worker that are known, each once: of the thread that has it, if there is one. */
export function knownRequests(
  loops: readonly LoopView[],
): readonly { readonly loop: LoopView; readonly request: RequestView }[] {
  const inThreads = new Set(
    loops.flatMap(({ isHosted, oldest }) => (isHosted ? oldest.map(({ reqId }) => reqId) : [])),
  );
  return loops.flatMap((loop) =>
    loop.oldest.flatMap((request) => (loop.isHosted || !inThreads.has(request.reqId) ? [{ loop, request }] : [])),
  );
}
