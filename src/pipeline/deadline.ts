// --request-deadline: after it, a request without a response gets 504 (RFC 9110, section 15.6.5); a response in
// progress is cut. `req.signal` tells the app.
import type { IncomingMessage } from 'node:http';
import { errorRecord, HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { answerEarly } from './failures.js';
import type { OnRefused, Stage } from './stage.js';

/** @param ms milliseconds from the end of the request's head to the end of its response */
export function limitDuration(ms: number, tell: (event: WorkerEvent) => void, refused?: OnRefused): Stage {
  return (next) => (req, res, reqId) => {
    const abort = addSignal(req);
    let overdue: HttpError | undefined;
    const timer = setTimeout(() => {
      const error = new HttpError(504, `the response was not complete after ${ms} ms (--request-deadline)`);
      const { reqMethod: method, reqUrl: url } = res;
      overdue = error;
      res.isOverdue = true;
      tell({ event: 'request-overdue', reqId, method, url, err: errorRecord(error) });
      refused?.('deadline');
      res.clientConnection?.closesFor('timeout');
      answerEarly(error, req, res, reqId);
      abort(error);
    }, ms);
    res.once('close', () => {
      clearTimeout(timer);
      if (!res.writableFinished) abort(overdue ?? new Error('the client disconnected'));
    });
    return next(req, res, reqId);
  };
}

/** Adds `req.signal`, which newer versions of Node have. @returns a function that aborts it */
function addSignal(req: IncomingMessage): (reason: Error) => void {
  if ('signal' in req) return () => {};
  const controller = new AbortController();
  Object.defineProperty(req, 'signal', { value: controller.signal, configurable: true, writable: true });
  return (reason) => controller.abort(reason);
}
