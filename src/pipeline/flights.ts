// Puts on record which requests the app is at, where it survives the worker, and refuses those that have killed workers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { requestLine } from '../inflight/fingerprint.js';
import { noSlot } from '../inflight/journal-writer.js';
import type { LoopJournal } from '../inflight/loop-journal.js';
import { RecordedBody } from '../inflight/recorded-body.js';
import { answerUnserved, hasBody } from './failures.js';
import { type OnSent, tellEnd } from './response.js';
import type { OnClose, Stage } from './stage.js';

/** @param isLogged each request gets an access line, until when it stays on record: `freeLogged` says that they are written */
export function recordFlights(
  { writer, denylist }: LoopJournal,
  tell: (event: WorkerEvent) => void,
  isLogged: boolean,
): { readonly stage: Stage; readonly onClose: OnClose } {
  const refuse = (req: IncomingMessage, res: ServerResponse, reqId: string): void => {
    const { method = '', url = '' } = req;
    tell({ event: 'request-refused', reqId, method, url });
    answerUnserved(new HttpError(503, 'it has ended workers (--quarantine-after)'), req, res, reqId);
  };
  const onSent: OnSent = (res, isSent) => writer?.setResponse(res.entry, res.statusCode, isSent);

  const stage: Stage = (next) => (req, res, reqId) => {
    const { method = '', url = '' } = req;
    const isBodied = hasBody(req);
    const isWatching = !denylist.isEmpty;
    if (isWatching && denylist.refuses(requestLine(method, url), isBodied ? 'unknown' : 'none')) {
      return refuse(req, res, reqId);
    }
    res.entry = writer?.begin(reqId, method, url, isBodied, res.begunAt) ?? noSlot;
    if (writer && isLogged) tellEnd(res, onSent);
    if (!isBodied) return next(req, res, reqId);

    const body = new RecordedBody(writer, res.entry);
    res.recordedBody = body;
    if (!isWatching || !denylist.needsBody(requestLine(method, url))) {
      record(req, body, false);
      return next(req, res, reqId);
    }
    // A client that waits to be told to send it never would.
    if (req.headers.expect !== undefined && !hasSaidContinue(res)) res.writeContinue();
    const arrived = new Promise<void>((resolve) => {
      body.onKnown = resolve;
    });
    record(req, body, true);
    return arrived.then(() =>
      denylist.refuses(requestLine(method, url), body.digest()) ? refuse(req, res, reqId) : next(req, res, reqId),
    );
  };

  const onClose: OnClose = (res) => {
    const { req, entry, recordedBody } = res;
    // An answer that has begun is one: some, such as streams of events, end only when their clients go.
    if (!denylist.isEmpty && res.headersSent) {
      denylist.answered(requestLine(req.method ?? '', req.url ?? ''), recordedBody?.digest() ?? 'none');
    }
    res.entry = noSlot; // it may soon be another's
    if (isLogged && res.writableFinished) writer?.endUnlogged(entry, res.statusCode);
    else writer?.end(entry);
  };
  return { stage, onClose };
}

/** What the parser pushes into the request, while the app reads it or before it does. */
function record(req: IncomingMessage, body: RecordedBody, isHeld: boolean): void {
  const push = req.push;
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    body.push(chunk);
    const isHungry = push.call(req, chunk, encoding);
    // The app does not read it yet; it must come all the same.
    return isHeld && !body.isKnown ? true : isHungry;
  };
}

/** That the client may send its body (RFC 9110, section 15.2.1). Node keeps it in a private field. */
export function hasSaidContinue(res: ServerResponse): boolean {
  return (res as unknown as { _sent100?: boolean })._sent100 === true;
}
