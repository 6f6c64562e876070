// Puts on record which requests the app is at, where it survives the worker, and refuses those that have killed workers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import type { FlightDeck } from '../flight/deck.js';
import { type BodyDigest, digestBytes, longestBody, subjectOf } from '../flight/fingerprint.js';
import { unrecorded } from '../flight/recorder.js';
import { answerEarly, hasBody } from './failures.js';
import { type NamedResponse, tellEnd } from './response.js';
import type { Stage } from './stage.js';

/** @param isLogged each request gets an access line, until when it stays on record: `settle` says that they are written */
export function recordFlights(
  { recorder, watchlist }: FlightDeck,
  tell: (event: WorkerEvent) => void,
  isLogged: boolean,
): Stage {
  const refuse = (req: IncomingMessage, res: ServerResponse, reqId: string): void => {
    const { method = '', url = '' } = req;
    tell({ event: 'request-refused', reqId, method, url });
    answerEarly(new HttpError(503, 'it has ended workers (--quarantine-after)'), req, res, reqId);
    req.resume();
  };

  return (next) => (req, res, reqId) => {
    const { method = '', url = '' } = req;
    const isBodied = hasBody(req);
    let body: BodyDigest = isBodied ? 'unknown' : 'none';
    if (!watchlist.isEmpty && watchlist.refuses(subjectOf(method, url), body)) return refuse(req, res, reqId);

    const entry = recorder?.begin(reqId, method, url, isBodied) ?? unrecorded;
    if (recorder && isLogged) tellEnd(res as NamedResponse, (isSent) => recorder.answer(entry, res.statusCode, isSent));
    // Before its line is added, which may be written at once.
    res.prependOnceListener('close', () => {
      if (isLogged) (res as NamedResponse).onSent = undefined; // the entry may soon be another's
      if (isLogged && res.writableFinished) recorder?.endUnsettled(entry, res.statusCode);
      else recorder?.end(entry);
      // An answer that has begun is one: some, such as streams of events, end only when their clients go.
      if (!watchlist.isEmpty && res.headersSent) watchlist.answered(subjectOf(method, url), body);
    });
    if (!isBodied) return next(req, res, reqId);

    const isHeld = !watchlist.isEmpty && watchlist.needsBody(subjectOf(method, url));
    // Whoever waits to be told to send it never would.
    if (isHeld && req.headers.expect !== undefined && !hasSaidContinue(res)) res.writeContinue();
    const arrived = new Promise<void>((resolve) => {
      digestBody(req, isHeld, (digest) => {
        body = digest.toString('hex', 0, digestBytes);
        recorder?.seal(entry, digest);
        resolve();
      });
    });
    if (!isHeld) return next(req, res, reqId);
    return arrived.then(() =>
      watchlist.refuses(subjectOf(method, url), body) ? refuse(req, res, reqId) : next(req, res, reqId),
    );
  };
}

/** Digests what the parser pushes into the request, up to `longestBody`, while the app reads it or before it does. */
function digestBody(req: IncomingMessage, isHeld: boolean, done: (digest: Buffer) => void): void {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256');
  let left = longestBody;
  const push = req.push;
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    if (chunk) hash.update(chunk.subarray(0, left));
    left -= chunk?.length ?? 0;
    const isKnown = chunk === null || left <= 0;
    if (isKnown) {
      req.push = push;
      done(hash.digest());
    }
    const isHungry = push.call(req, chunk, encoding);
    // Nobody reads it yet; it must come all the same.
    return isHeld && !isKnown ? true : isHungry;
  };
}

/** That the client may send its body (RFC 9110, section 15.2.1). Node keeps it in a private field. */
export function hasSaidContinue(res: ServerResponse): boolean {
  return (res as unknown as { _sent100?: boolean })._sent100 === true;
}
