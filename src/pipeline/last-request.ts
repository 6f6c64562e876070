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
  #last: (Omit<View, 'endedMs'> & { readonly endedAt: number }) | undefined;
  #lookedUntil = 0;

  begun(res: PipelineResponse): void {
    if (res.begunAt > this.#lookedUntil) return;
    void res.clientConnection?.client; // is known from now on
    res.busyAtStart = busyMs();
  }

  readonly onClose: OnClose = (res) => {
    const { reqId, reqMethod: method, reqUrl: url, begunAt, busyAtStart, clientConnection } = res;
    if (clientConnection?.isOwn) return;
    const endedAt = now();
    const status = res.headersSent || res.isAnsweredEarly ? res.statusCode : 0;
    const durationMs = endedAt - begunAt;
    this.#last =
      busyAtStart < 0
        ? { reqId, method, url, status, durationMs, endedAt }
        : {
            ...{ reqId, method, url, status, durationMs, endedAt },
            busyMs: Math.max(0, busyMs() - busyAtStart),
            ...(clientConnection && { client: nameOf(clientConnection.client) }),
          };
  };

  look(): View | undefined {
    const time = now();
    this.#lookedUntil = time + lookingMs;
    if (!this.#last) return undefined;
    const { endedAt, url, ...last } = this.#last;
    return { ...last, url: truncateUrl(url), endedMs: time - endedAt };
  }
}

/** Of this event loop, since its start. */
function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
