// Writes one access-log line for each request, in the worker that serves it. `log/line-buffer.ts` buffers the lines and
// writes only whole ones.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Peer } from '../client/peer.js';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import { accessLine, lineOrigin } from '../log/access-line.js';
import type { Destination } from '../log/destination.js';
import { LineBuffer } from '../log/line-buffer.js';
import type { CacheOutcome } from '../metrics/layout.js';
import type { WorkerIdentity } from '../reports/report.js';
import { type ClientNamer, clientNamer } from './client-namer.js';
import type { PipelineResponse } from './response.js';
import type { OnClose, Stage } from './stage.js';

const maxOrigins = 2048;

export class AccessLog {
  readonly #lines: LineBuffer;
  readonly #nameClient: ClientNamer;
  readonly #origin: string;
  readonly #identity: WorkerIdentity;
  /** Of others that have requests of this event loop, by their ids. */
  readonly #origins = new Map<string, string>();
  readonly #tell: (event: WorkerEvent) => void;

  /**
   * @param onWritten called when the buffer is empty
   * @param onLost told of lines that are lost for good
   */
  constructor(
    destination: Destination,
    clients: Config['clients'],
    identity: WorkerIdentity,
    tell: (event: WorkerEvent) => void,
    onWritten: () => void,
    onLost: ((count: number) => void) | undefined,
  ) {
    this.#nameClient = clientNamer(clients);
    this.#origin = lineOrigin(identity);
    this.#identity = identity;
    this.#tell = tell;
    this.#lines = new LineBuffer(destination, {
      failed: (reason) => tell({ event: 'access-log-failed', reason }),
      resumed: (lost) => tell({ event: 'access-log-resumed', lost }),
      written: onWritten,
      lost: (count) => onLost?.(count),
    });
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    void res.clientConnection?.client; // is known from now on
    return next(req, res, reqId);
  };

  readonly onClose: OnClose = (res) => {
    const { req, reqId, reqMethod, reqUrl, clientConnection, begunAt } = res;
    const status = res.headersSent || res.isAnsweredEarly ? res.statusCode : null; // null: the client has gone before
    const bytes = clientConnection?.takeBytesWritten() ?? 0;
    const { client } = clientConnection ?? {};
    this.#add(req, reqId, reqMethod, reqUrl, status, bytes, begunAt, client, this.#originOf(res), res.cacheOutcome);
  };

  /** Writes the line of an upgraded request (a WebSocket), or of one that was refused, when its socket closes. */
  upgraded(req: IncomingMessage, socket: Duplex, reqId: string, client: Peer | undefined, status: number): void {
    const begunAt = now();
    const { method = '', url = '' } = req;
    const { bytesWritten: before } = req.socket;
    socket.once('close', () => {
      this.#add(req, reqId, method, url, status, req.socket.bytesWritten - before, begunAt, client);
    });
  }

  /** The worker ends: what cannot be written now may be written when it exits, or is lost. */
  end(): void {
    this.#lines.flush();
    const { unwritten: count } = this.#lines;
    if (count > 0) this.#tell({ event: 'access-lines-unwritten', count });
  }

  #originOf({ pid, tid, route }: PipelineResponse): string {
    if (tid === undefined && route === undefined) return this.#origin;
    const key = `${pid}.${tid} ${route}`;
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      if (this.#origins.size >= maxOrigins) this.#origins.clear(); // most are of workers that have ended
      const { pid: ownPid, tid: ownTid } = this.#identity;
      origin = lineOrigin({ pid: pid ?? ownPid, tid: tid ?? ownTid, route });
      this.#origins.set(key, origin);
    }
    return origin;
  }

  #add(
    req: IncomingMessage,
    reqId: string,
    method: string,
    url: string,
    status: number | null,
    bytes: number,
    begunAt: number,
    peer: Peer = 'unknown',
    origin = this.#origin,
    cache?: CacheOutcome,
  ): void {
    const durationMs = now() - begunAt;
    const remote = this.#nameClient(req, peer);
    this.#lines.add(accessLine(origin, reqId, method, url, status, bytes, durationMs, remote, cache));
  }
}
