// Counts responses by status and duration, and reports the counts to the supervisor for --canary.
import type { Activity } from '../activity.js';
import { now } from '../clock.js';
import type { WorkerReport } from '../reports/report.js';
import { ResponseStats } from '../scaling/response-stats.js';
import type { OnClose } from './stage.js';

const reportIntervalMs = 100;

/** @param activity which stops when the worker drains: a worker for one connection then reports its only count */
export function countAnswers(tell: (report: WorkerReport) => void, activity: Activity): OnClose {
  const answers = new ResponseStats();
  let isScheduled = false;
  const report = (): void => {
    isScheduled = false;
    const count = answers.take();
    if (count) tell({ kind: 'answers', ...count });
  };
  activity.add({ start: () => {}, stop: report });
  return (res) => {
    if (!res.isInApp) return;
    // The client disconnected before the end of the response, which says nothing about the app.
    if (!res.writableFinished && res.statusCode < 500) return;
    answers.add(res.statusCode, now() - res.begunAt);
    if (!isScheduled) setTimeout(report, reportIntervalMs).unref();
    isScheduled = true;
  };
}
