// The last request of this event loop. For a while after a look, it is also measured how busy the event loop was meanwhile,
// and the client is remembered.
import { performance } from 'node:perf_hooks';
import { nameOf } from '../client/peer.js';
import { now } from '../clock.js';
import { truncateUrl } from '../inflight/fingerprint.js';
import type { LastRequest as View } from '../scoreboard/loop-view.js';
import type { PipelineResponse } from './response.js';
import type { OnClose } from './stage.js';

/** An observer such as the dashboard looks at least this often (milliseconds). */
const lookingMs = 5000;

export class LastRequest {
  #response: PipelineResponse | undefined;
  /** -1 without an observer. */
  #busyMs = -1;
  #lookedUntil = 0;

  begun(res: PipelineResponse): void {
    if (res.begunAt > this.#lookedUntil) return;
    void res.clientConnection?.client; // is known from now on
    res.busyAtStart = busyMs();
  }

  /** After the metrics have noted when the response was over. */
  readonly onClose: OnClose = (res) => {
    if (res.clientConnection?.isOwn) return;
    this.#response = res;
    this.#busyMs = res.busyAtStart < 0 ? -1 : Math.max(0, busyMs() - res.busyAtStart);
  };

  look(): View | undefined {
    const time = now();
    this.#lookedUntil = time + lookingMs;
    if (!this.#response) return undefined;
    const { reqId, reqMethod: method, reqUrl, begunAt, endedAt, clientConnection } = this.#response;
    const hasStatus = this.#response.headersSent || this.#response.isAnsweredEarly;
    return {
      reqId,
      method,
      url: truncateUrl(reqUrl),
      status: hasStatus ? this.#response.statusCode : 0,
      durationMs: endedAt - begunAt,
      ...(this.#busyMs >= 0 && {
        busyMs: this.#busyMs,
        ...(clientConnection && { client: nameOf(clientConnection.client) }),
      }),
      endedMs: time - endedAt,
    };
  }
}

/** Of this event loop, since its start. */
function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
