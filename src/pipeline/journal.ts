// Records requests in the in-flight journal, which survives a crash of the worker, and refuses quarantined requests.
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { requestLine, targetOf } from '../inflight/fingerprint.js';
import { noSlot } from '../inflight/journal-writer.js';
import type { LoopJournal } from '../inflight/loop-journal.js';
import { RecordedBody } from '../inflight/recorded-body.js';
import { awaitsContinue } from './continue.js';
import { answerUnserved, hasBody } from './failures.js';
import type { OnHead, OnSent, PipelineResponse } from './response.js';
import type { Handler, OnClose, OnRefused, Stage } from './stage.js';

/** @param isLogged keeps the entry of an answered request until its access-log line is written (`writer.freeLogged`) */
export function journalRequests(
  { writer, culprits, denylist }: LoopJournal,
  tell: (event: WorkerEvent) => void,
  isLogged: boolean,
  refused?: OnRefused,
): { readonly stage: Stage; readonly onHead?: OnHead; readonly onSent?: OnSent; readonly onClose: OnClose } {
  const refuse = (req: IncomingMessage, res: PipelineResponse, reqId: string): void => {
    const { method = '', url = '' } = req;
    tell({ event: 'request-refused', reqId, method, url });
    refused?.('quarantined');
    const error = new HttpError(503, 'the request is quarantined because it killed workers (--quarantine-after)');
    answerUnserved(error, req, res, reqId);
  };
  const onSent: OnSent = (res, isSent) => writer?.setResponse(res.entry, res.statusCode, isSent);
  const onHead: OnHead = (res) => writer?.setBegun(res.entry);

  const stage: Stage = (next) => {
    const serve: Handler = (req, res, reqId) => {
      try {
        if (culprits && denylist.isSearching) return culprits.run(res, () => next(req, res, reqId));
        return next(req, res, reqId);
      } finally {
        writer?.setOnStack(res.entry, false);
      }
    };
    return (req, res, reqId) => {
      const { method = '', url = '' } = req;
      const hasRequestBody = hasBody(req);
      const line = denylist.refusesAny ? requestLine(method, targetOf(url)) : undefined;
      if (line !== undefined && denylist.refuses(line, hasRequestBody ? 'unknown' : 'none')) {
        return refuse(req, res, reqId);
      }
      res.entry = writer?.begin(reqId, method, url, hasRequestBody, res.begunAt) ?? noSlot;
      if (!hasRequestBody) return serve(req, res, reqId);
      // Where another event loop records the body, only a search for it needs it here.
      if (!writer && !denylist.refusesAny && !denylist.hasSuspects) return serve(req, res, reqId);

      const body = new RecordedBody(writer, res.entry);
      res.recordedBody = body;
      if (line === undefined || !denylist.needsBody(line)) {
        record(req, body, false);
        return serve(req, res, reqId);
      }
      writer?.setOnStack(res.entry, false);
      // The client sends the body only after "100 Continue".
      if (awaitsContinue(res)) res.writeContinue();
      const arrived = new Promise<void>((resolve) => {
        body.onKnown = resolve;
      });
      record(req, body, true);
      return arrived.then(() => {
        if (denylist.refuses(line, body.digest())) return refuse(req, res, reqId);
        writer?.setOnStack(res.entry, true);
        return serve(req, res, reqId);
      });
    };
  };

  const onClose: OnClose = (res) => {
    const { req, reqMethod, reqUrl, entry, recordedBody } = res;
    // A response of the app that has begun clears a suspect: an event stream ends only when its client disconnects.
    if (denylist.hasSuspects && res.isInApp && res.headersSent) {
      denylist.answered(
        requestLine(reqMethod, targetOf(reqUrl)),
        recordedBody?.digest() ?? (writer || !hasBody(req) ? 'none' : 'unknown'),
      );
    }
    res.entry = noSlot; // another request may reuse the entry
    recordedBody?.detach();
    if (isLogged && res.writableFinished) writer?.endUnlogged(entry, res.statusCode);
    else writer?.end(entry);
  };
  return { stage, ...(writer && { onHead }), ...(writer && isLogged && { onSent }), onClose };
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
