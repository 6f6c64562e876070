// CPU profiles and heap snapshots of workers, for `mpserve ctl`: one at a time. A worker writes into one end of a socket
// pair; what comes out of the other end goes on to the caller as fast as the caller reads, and is kept nowhere.
import type { Socket } from 'node:net';
import type { DumpKind, DumpRequest } from '../control/protocol.js';
import { Refused } from '../control/refused.js';
import type { Dump } from '../control/take-dump.js';
import type { Events } from '../events.js';
import { socketPair } from '../os/descriptor.js';
import { socketFromFd } from '../os/node-socket.js';
import { dumpTimeoutMs } from '../worker/diagnostics.js';
import type { DumpOrder } from '../worker/messages.js';
import type { Worker } from '../worker/worker.js';

const limits: DumpLimits = { bytes: 2 * 1024 ** 3, ms: 2 * dumpTimeoutMs };
const defaultSeconds = 5;
const maxSeconds = 60;
/** At most this many workers are named when an unknown one is asked for. */
const maxNamed = 32;

export interface DumpLimits {
  readonly bytes: number;
  /** From its beginning until all of it has been read, besides the time of a profile (milliseconds). */
  readonly ms: number;
}

export interface DumpsOptions {
  /** Those that serve first. */
  readonly workers: () => readonly Pick<Worker, 'id' | 'pid' | 'route' | 'dump'>[];
  readonly events: Pick<Events, 'tell'>;
}

type Source = ReturnType<DumpsOptions['workers']>[number];

interface Current {
  /** With the worker, for callers that are refused meanwhile. */
  readonly words: string;
  /** Aborted when it is given up, with the reason as a clause. */
  readonly over: AbortController;
}

export class Dumps {
  readonly #options: DumpsOptions;
  readonly #limits: DumpLimits;
  #current: Current | undefined;
  /** Why none is begun any more, as a clause. */
  #closedFor: string | undefined;

  constructor(options: DumpsOptions, { bytes, ms }: DumpLimits = limits) {
    this.#options = options;
    this.#limits = { bytes, ms };
  }

  /**
   * Settles when there is something to read. @param gone aborted when the caller has gone
   * @throws Refused if it was not begun, Error if it failed
   */
  async open(kind: DumpKind, request: DumpRequest, gone: AbortSignal): Promise<Dump> {
    const { seconds = defaultSeconds } = request;
    if (kind === 'profile' && !(seconds >= 1 && seconds <= maxSeconds))
      throw new Refused(`"seconds" must be a number from 1 to ${maxSeconds}`);
    if (gone.aborted) throw new Error('its caller has gone');
    if (this.#closedFor !== undefined) throw new Refused(this.#closedFor);
    if (this.#current) throw new Refused(`${this.#current.words} is in progress; try again when it has ended`);
    const { worker, tid } = this.#find(request.worker);
    const { id, pid } = worker;
    const name = `${words[kind]} of worker ${id}${tid === undefined ? '' : `.${tid}`} (pid ${pid})`;
    const over = new AbortController();
    this.#current = { words: `${name}, begun at ${new Date().toISOString()},`, over };
    this.#options.events.tell({ event: 'dump-started', kind, worker: id, pid, ...(tid !== undefined && { tid }) });
    const onGone = (): void => over.abort('its caller has gone');
    const content = this.#read(worker, { kind, ms: kind === 'profile' ? seconds * 1000 : 0, tid }, over);
    // What waits for its reader ends, too.
    over.signal.addEventListener('abort', () => void content.return().catch(() => {}));
    gone.addEventListener('abort', onGone);
    try {
      const first = await content.next();
      return { content: continued(first, content, over.signal), over: over.signal };
    } catch (error) {
      throw new Error(`${name} failed: ${(error as Error).message}`);
    }
  }

  /** Gives up what is in progress, and begins no other. @param reason a clause */
  close(reason: string): void {
    this.#closedFor = reason;
    this.#current?.over.abort(reason);
  }

  /** @throws Error with a clause when not all of it has come */
  async *#read(worker: Source, order: DumpOrder, over: AbortController): AsyncGenerator<Buffer, void> {
    const { bytes: maxBytes, ms } = this.#limits;
    const timer = setTimeout(() => over.abort('it took too long'), order.ms + ms);
    let socket: Socket | undefined;
    let failure: string | undefined = 'its caller has gone';
    try {
      const [ours, theirs] = socketPair();
      const reading = socketFromFd(ours);
      socket = reading;
      reading.on('error', () => {}); // the worker says why
      over.signal.addEventListener('abort', () => reading.destroy());
      const outcome = worker.dump(order, theirs).then((reason) => reason !== undefined && over.abort(reason));
      let bytes = 0;
      for await (const chunk of chunksOf(reading)) {
        bytes += chunk.length;
        if (bytes > maxBytes) over.abort(`it is larger than ${maxBytes / 1024 ** 3} GiB`);
        if (over.signal.aborted) break;
        yield chunk;
      }
      if (!over.signal.aborted) await outcome;
      throwIfAborted(over.signal);
      failure = undefined;
    } catch (error) {
      failure = (error as Error).message;
      throw error;
    } finally {
      clearTimeout(timer);
      socket?.destroy();
      this.#current = undefined;
      const reason = over.signal.aborted ? String(over.signal.reason) : failure;
      const { kind } = order;
      if (reason !== undefined)
        this.#options.events.tell({ event: 'dump-failed', kind, worker: worker.id, pid: worker.pid, reason });
    }
  }

  /** @param name `2` or a pid, or `2.1` for a thread; the first worker by default. @throws Refused */
  #find(name: string | undefined): { readonly worker: Source; readonly tid: number | undefined } {
    const workers = this.#options.workers();
    const [, id, tid] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(name ?? '') ?? [];
    const named = workers.filter((one) => one.id === Number(id) || one.pid === Number(id));
    const [worker] = name === undefined ? workers : named;
    if (named.some(({ route }) => route !== worker?.route)) {
      const pids = named.map(({ pid, route = 'the connections' }) => `${pid} (${route})`).join(', ');
      throw new Refused(`several routes have a worker ${id}; name it by its pid: ${pids}`);
    }
    if (worker) return { worker, tid: tid === undefined ? undefined : Number(tid) };
    const ids = [...new Set(workers.map((one) => one.id))];
    const more = ids.length > maxNamed ? `, and ${ids.length - maxNamed} more` : '';
    const known = ids.length > 0 ? `the workers are ${ids.slice(0, maxNamed).join(', ')}${more}` : 'none is running';
    throw new Refused(name === undefined ? 'no worker is running' : `there is no worker ${name}; ${known}`);
  }
}

const words: Readonly<Record<DumpKind, string>> = { profile: 'the profile', heap: 'the heap snapshot' };

/** They end also when it is destroyed, for whatever reason. */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  try {
    yield* socket;
  } catch {}
}

async function* continued(first: IteratorResult<Buffer, void>, rest: AsyncGenerator<Buffer, void>, over: AbortSignal) {
  if (!first.done) yield first.value;
  yield* rest;
  throwIfAborted(over);
}

function throwIfAborted(over: AbortSignal): void {
  if (over.aborted) throw new Error(String(over.reason));
}
