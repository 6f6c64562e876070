// Records requests in the in-flight journal, which survives a crash of the worker, and refuses quarantined requests.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import type { FlightDeck } from '../flight/deck.js';
import { subjectOf } from '../flight/fingerprint.js';
import { RecordedBody } from '../flight/recorded-body.js';
import { unrecorded } from '../flight/recorder.js';
import { answerUnserved, hasBody } from './failures.js';
import { type OnSent, reportSent } from './response.js';
import type { OnClose, Stage } from './stage.js';

/** @param isLogged keeps the entry of an answered request until its access-log line is written (`recorder.settle`) */
export function journalRequests(
  { recorder, watchlist }: FlightDeck,
  tell: (event: WorkerEvent) => void,
  isLogged: boolean,
): { readonly stage: Stage; readonly onClose: OnClose } {
  const refuse = (req: IncomingMessage, res: ServerResponse, reqId: string): void => {
    const { method = '', url = '' } = req;
    tell({ event: 'request-refused', reqId, method, url });
    answerUnserved(
      new HttpError(503, 'the request is quarantined because it killed workers (--quarantine-after)'),
      req,
      res,
      reqId,
    );
  };
  const onSent: OnSent = (res, isSent) => recorder?.answer(res.entry, res.statusCode, isSent);

  const stage: Stage = (next) => (req, res, reqId) => {
    const { method = '', url = '' } = req;
    const hasRequestBody = hasBody(req);
    const hasSuspects = !watchlist.isEmpty;
    if (hasSuspects && watchlist.refuses(subjectOf(method, url), hasRequestBody ? 'unknown' : 'none')) {
      return refuse(req, res, reqId);
    }
    res.entry = recorder?.begin(reqId, method, url, hasRequestBody, res.begunAt) ?? unrecorded;
    if (recorder && isLogged) reportSent(res, onSent);
    if (!hasRequestBody) return next(req, res, reqId);

    const body = new RecordedBody(recorder, res.entry);
    res.recordedBody = body;
    if (!hasSuspects || !watchlist.needsBody(subjectOf(method, url))) {
      record(req, body, false);
      return next(req, res, reqId);
    }
    // The client sends the body only after "100 Continue".
    if (req.headers.expect !== undefined && !hasSaidContinue(res)) res.writeContinue();
    const arrived = new Promise<void>((resolve) => {
      body.onKnown = resolve;
    });
    record(req, body, true);
    return arrived.then(() =>
      watchlist.refuses(subjectOf(method, url), body.digest()) ? refuse(req, res, reqId) : next(req, res, reqId),
    );
  };

  const onClose: OnClose = (res) => {
    const { req, entry, recordedBody } = res;
    // A response that has begun clears a suspect: an event stream ends only when its client disconnects.
    if (!watchlist.isEmpty && res.headersSent) {
      watchlist.answered(subjectOf(req.method ?? '', req.url ?? ''), recordedBody?.digest() ?? 'none');
    }
    res.entry = unrecorded; // another request may reuse the entry
    if (isLogged && res.writableFinished) recorder?.endUnsettled(entry, res.statusCode);
    else recorder?.end(entry);
  };
  return { stage, onClose };
}

/**
 * Copies the body as the parser pushes it into the request, whether or not the app reads it.
 * @param isHeld the app gets the request only after the whole body
 */
function record(req: IncomingMessage, body: RecordedBody, isHeld: boolean): void {
  const push = req.push;
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    body.push(chunk);
    const wantsMore = push.call(req, chunk, encoding);
    // Nothing reads a held body yet, so ignore backpressure.
    return isHeld && !body.isKnown ? true : wantsMore;
  };
}

/** Whether "100 Continue" was sent (RFC 9110, section 15.2.1), which only a private field of Node knows. */
export function hasSaidContinue(res: ServerResponse): boolean {
  return (res as unknown as { _sent100?: boolean })._sent100 === true;
}
