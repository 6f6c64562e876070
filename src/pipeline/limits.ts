// The limit on a request's body: 413 before the app is called where its length is announced, and in the middle
// where it is not (RFC 9110, section 15.5.14). The other limits are Node's own and set in `adopting-server.ts`.
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../errors.js';
import { answerEarly, answerUnserved } from './failures.js';
import type { Stage } from './stage.js';

/** @param most bytes; a request with a larger body is answered with 413 and never comes to its end. */
export function limitBody(most: number): Stage {
  return (next) => (req, res, reqId) => {
    const tooLarge = () => new HttpError(413, `the body is larger than ${most} bytes`);
    if (announcesMore(req, most)) return answerUnserved(tooLarge(), req, res, reqId);
    if (req.headers['transfer-encoding'] !== undefined) {
      countBody(req, most, () => answerEarly(tooLarge(), req, res, reqId));
    }
    return next(req, res, reqId);
  };
}

export function announcesMore(req: IncomingMessage, most: number): boolean {
  const announced = req.headers['content-length'];
  return announced !== undefined && Number(announced) > most;
}

/** Counts what the parser pushes into the request, whether or not the app reads it; drops it from `most` on. */
function countBody(req: IncomingMessage, most: number, exceeded: () => void): void {
  let bytes = 0;
  const push = req.push;
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    const before = bytes;
    bytes += chunk?.length ?? 0;
    if (bytes <= most) return push.call(req, chunk, encoding);
    if (before <= most) exceeded();
    return true; // go on reading, into nothing, while the connection lingers
  };
}
