// Writes one access-log line for each request, in the worker that serves it. `log/line-buffer.ts` buffers the lines and
// writes only whole ones.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Activity } from '../activity.js';
import type { Peer } from '../client/peer.js';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import type { AccessEntry } from '../log/access-entry.js';
import { accessFormat } from '../log/access-format.js';
import type { Destination } from '../log/destination.js';
import { LineBuffer } from '../log/line-buffer.js';
import { type LineOrigin, lineOrigin } from '../log/line-origin.js';
import type { WorkerIdentity } from '../reports/report.js';
import { Blocks } from './blocks.js';
import { type ClientNamer, clientNamer } from './client-namer.js';
import type { PipelineResponse } from './response.js';
import type { OnClose, Stage } from './stage.js';

const maxOrigins = 2048;
/** The server has failed: such a request always has a line. */
const firstServerError = 500;

export interface AccessLogOptions {
  readonly destination: Destination;
  readonly access: Config['access'];
  readonly clients: Config['clients'];
  readonly identity: WorkerIdentity;
  /** The timers of this event loop. */
  readonly activity: Activity;
  readonly tell: (event: WorkerEvent) => void;
  /** Called when the buffer is empty. */
  readonly onWritten: () => void;
  /** Told of lines that are lost for good. */
  readonly lost: ((count: number) => void) | undefined;
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #lines: LineBuffer<AccessEntry>;
  readonly #nameClient: ClientNamer;
  readonly #origin: LineOrigin;
  /** undefined without --slow. */
  readonly #blocks: Blocks | undefined;
  readonly #slowMs: number;
  /** Of others that have requests of this event loop, by their ids. */
  readonly #origins = new Map<string, LineOrigin>();

  constructor(options: AccessLogOptions) {
    const { destination, access, clients, identity, activity, tell, onWritten, lost } = options;
    this.#options = options;
    this.#nameClient = clientNamer(clients);
    this.#origin = lineOrigin(identity.pid, identity.tid);
    this.#slowMs = access.slow ?? Number.POSITIVE_INFINITY;
    this.#blocks = access.slow === undefined ? undefined : new Blocks();
    if (this.#blocks) activity.add(this.#blocks);
    const format = accessFormat(access.accessLogFormat, access.logRedact, destination.atomicBytes);
    this.#lines = new LineBuffer(destination, format, {
      failed: (reason) => tell({ event: 'access-log-failed', reason }),
      resumed: (lost) => tell({ event: 'access-log-resumed', lost }),
      written: onWritten,
      lost: (count) => lost?.(count),
    });
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    void res.clientConnection?.client; // is known from now on
    return next(req, res, reqId);
  };

  readonly onClose: OnClose = (res) => {
    const { req, reqId, reqMethod, reqUrl, clientConnection, begunAt } = res;
    const bytes = clientConnection?.takeBytesWritten() ?? 0;
    const status = res.headersSent || res.isAnsweredEarly ? res.statusCode : null; // null: the client has gone before
    const endedAt = now();
    const durationMs = endedAt - begunAt;
    if (!this.#takes(status, durationMs)) return this.#leaveOut();
    this.#lines.add({
      origin: this.#originOf(res),
      reqId,
      method: reqMethod,
      url: reqUrl,
      httpVersion: req.httpVersion,
      rawHeaders: req.rawHeaders,
      status,
      bytes,
      headBytes: headBytesOf(res),
      durationMs,
      endedAt,
      remote: this.#nameClient(req, clientConnection?.client ?? 'unknown'),
      cache: res.cacheOutcome,
      slowBlockMs: this.#slowBlockMs(durationMs, begunAt),
    });
  };

  /** Writes the line of an upgraded request (a WebSocket), or of one that was refused, when its socket closes. */
  upgraded(req: IncomingMessage, socket: Duplex, reqId: string, peer: Peer | undefined, status: number): void {
    const begunAt = now();
    const { method = '', url = '', httpVersion, rawHeaders } = req;
    const { bytesWritten: before } = req.socket;
    socket.once('close', () => {
      const endedAt = now();
      const durationMs = endedAt - begunAt;
      if (!this.#takes(status, durationMs)) return;
      this.#lines.add({
        ...{ origin: this.#origin, reqId, method, url, httpVersion, rawHeaders, status, headBytes: 0, durationMs },
        endedAt,
        bytes: req.socket.bytesWritten - before,
        remote: this.#nameClient(req, peer ?? 'unknown'),
        cache: undefined,
        slowBlockMs: this.#slowBlockMs(durationMs, begunAt),
      });
    });
  }

  /** The worker ends: what cannot be written now may be written when it exits, or is lost. */
  end(): void {
    this.#lines.flush();
    const { unwritten: count } = this.#lines;
    if (count > 0) this.#options.tell({ event: 'access-lines-unwritten', count });
  }

  #originOf({ pid, tid, route }: PipelineResponse): LineOrigin {
    if (tid === undefined && route === undefined) return this.#origin;
    const key = `${pid}.${tid} ${route}`;
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      if (this.#origins.size >= maxOrigins) this.#origins.clear(); // most are of workers that have ended
      const { pid: ownPid, tid: ownTid } = this.#options.identity;
      origin = lineOrigin(pid ?? ownPid, tid ?? ownTid, route);
      this.#origins.set(key, origin);
    }
    return origin;
  }

  /** --access-log-sample. */
  #takes(status: number | null, durationMs: number): boolean {
    const { accessLogSample: sample } = this.#options.access;
    if (sample === 1 || status === null || status >= firstServerError || durationMs >= this.#slowMs) return true;
    return Math.random() < sample;
  }

  /** The request has no line for which the journal would wait. */
  #leaveOut(): void {
    if (this.#lines.isEmpty) this.#options.onWritten();
  }

  #slowBlockMs(durationMs: number, begunAt: number): number | undefined {
    return durationMs >= this.#slowMs ? (this.#blocks?.longestSince(begunAt) ?? 0) : undefined;
  }
}

/** Node's own: a head is latin1, so its characters are bytes. */
function headBytesOf(res: PipelineResponse): number {
  return (res as unknown as { readonly _header: string | null })._header?.length ?? 0;
}
