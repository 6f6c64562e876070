// Counts what the answers are like, and tells it while there are any (--canary).
import { now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import { ResponseStats } from '../scaling/response-stats.js';
import type { OnClose } from './stage.js';

const tellEvery = 100;

export function countAnswers(tell: (event: WorkerEvent) => void): OnClose {
  const answers = new ResponseStats();
  let isTelling = false;
  const report = (): void => {
    isTelling = false;
    const count = answers.take();
    if (count) tell({ event: 'answers', ...count });
  };
  return (res) => {
    // Of what its client did not wait for nothing can be said.
    if (!res.writableFinished && res.statusCode < 500) return;
    answers.add(res.statusCode, now() - res.begunAt);
    if (!isTelling) setTimeout(report, tellEvery).unref();
    isTelling = true;
  };
}
