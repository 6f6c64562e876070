// --max-body-size: 413 (RFC 9110, section 15.5.14) before the app is called if Content-Length is too large, and during
// the body if it is chunked. `adopting-server.ts` sets the limits that Node implements.
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../errors.js';
import { answerEarly, answerUnserved } from './failures.js';
import type { OnRefused, Stage } from './stage.js';

export function limitBody(maxBytes: number, refused?: OnRefused): Stage {
  return (next) => (req, res, reqId) => {
    const tooLarge = () => {
      refused?.('too-large');
      return new HttpError(413, `the body is larger than ${maxBytes} bytes`);
    };
    if (declaresMore(req, maxBytes)) return answerUnserved(tooLarge(), req, res, reqId);
    if (req.headers['transfer-encoding'] !== undefined) {
      countBody(req, maxBytes, () => answerEarly(tooLarge(), req, res, reqId));
    }
    return next(req, res, reqId);
  };
}

export function declaresMore(req: IncomingMessage, maxBytes: number): boolean {
  const contentLength = req.headers['content-length'];
  return contentLength !== undefined && Number(contentLength) > maxBytes;
}

/**
 * Counts the bytes that the parser pushes into the request, whether or not the app reads them; drops them above
 * `maxBytes`.
 */
function countBody(req: IncomingMessage, maxBytes: number, exceeded: () => void): void {
  let bytes = 0;
  const push = req.push;
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    const bytesBefore = bytes;
    bytes += chunk?.length ?? 0;
    if (bytes <= maxBytes) return push.call(req, chunk, encoding);
    if (bytesBefore <= maxBytes) exceeded();
    return true; // keep reading and discarding until the connection closes
  };
}
