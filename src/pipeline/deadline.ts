// The limit on the time of a request as a whole (--request-deadline): 504 where the answer has not begun by then
// (RFC 9110, section 15.6.5), a cut connection where it has. The app is told by `req.signal`.
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../errors.js';
import { errorRecord, type WorkerEvent } from '../events.js';
import type { answerEarly } from './failures.js';
import type { Stage } from './stage.js';

/** @param ms milliseconds from when the head of the request was there until the answer must be whole */
export function limitTime(ms: number, answer: typeof answerEarly, tell: (event: WorkerEvent) => void): Stage {
  return (next) => (req, res, reqId) => {
    const abort = signalOf(req);
    let overdue: HttpError | undefined;
    const timer = setTimeout(() => {
      const error = new HttpError(504, `the answer was not whole after ${ms} ms (--request-deadline)`);
      const { method = '', url = '' } = req;
      overdue = error;
      tell({ event: 'request-overdue', reqId, method, url, err: errorRecord(error) });
      answer(error, req, res, reqId);
      abort(error);
    }, ms);
    res.once('close', () => {
      clearTimeout(timer);
      if (!res.writableFinished) abort(overdue ?? new Error('the client went away'));
    });
    return next(req, res, reqId);
  };
}

/** Gives the request a `signal`, as newer Nodes do themselves. @returns what aborts it */
function signalOf(req: IncomingMessage): (reason: Error) => void {
  if ('signal' in req) return () => {};
  const controller = new AbortController();
  Object.defineProperty(req, 'signal', { value: controller.signal, configurable: true, writable: true });
  return (reason) => controller.abort(reason);
}
