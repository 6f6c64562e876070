// The last request of this event loop. For a while after a look, it is also measured how busy the event loop was meanwhile,
// and the client is remembered.
import { performance } from 'node:perf_hooks';
import { nameOf } from '../client/peer.js';
import { now } from '../clock.js';
import { truncateUrl } from '../inflight/fingerprint.js';
import type { LastRequest as View } from '../scoreboard/loop-view.js';
import type { Connection } from './connection.js';
import type { PipelineResponse } from './response.js';
import type { OnClose } from './stage.js';

/** An observer such as the dashboard looks at least this often (milliseconds). */
const lookingMs = 5000;

export class LastRequest {
  /** Fields, as an object for each request would take longer. */
  #reqId = '';
  #method = '';
  #url = '';
  #status = 0;
  #begunAt = 0;
  #endedAt = 0;
  /** -1 where nobody looked. */
  #busyMs = -1;
  #connection: Connection | undefined;
  #lookedUntil = 0;

  begun(res: PipelineResponse): void {
    if (res.begunAt > this.#lookedUntil) return;
    void res.clientConnection?.client; // is known from now on
    res.busyAtStart = busyMs();
  }

  /** After the metrics have noted when the response was over. */
  readonly onClose: OnClose = (res) => {
    const { reqId, reqMethod, reqUrl, begunAt, endedAt, busyAtStart, clientConnection } = res;
    if (clientConnection?.isOwn) return;
    this.#reqId = reqId;
    this.#method = reqMethod;
    this.#url = reqUrl;
    this.#status = res.headersSent || res.isAnsweredEarly ? res.statusCode : 0;
    this.#begunAt = begunAt;
    this.#endedAt = endedAt;
    this.#busyMs = busyAtStart < 0 ? -1 : Math.max(0, busyMs() - busyAtStart);
    this.#connection = busyAtStart < 0 ? undefined : clientConnection;
  };

  look(): View | undefined {
    const time = now();
    this.#lookedUntil = time + lookingMs;
    if (this.#endedAt === 0) return undefined;
    return {
      reqId: this.#reqId,
      method: this.#method,
      url: truncateUrl(this.#url),
      status: this.#status,
      durationMs: this.#endedAt - this.#begunAt,
      ...(this.#busyMs >= 0 && { busyMs: this.#busyMs }),
      ...(this.#connection && { client: nameOf(this.#connection.client) }),
      endedMs: time - this.#endedAt,
    };
  }
}

/** Of this event loop, since its start. */
function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
