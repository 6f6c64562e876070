// Warms a replacement worker up: it receives migrated connections at once, and their clients would wait for all that runs
// for the first time. So, before it loads the app, it loads what receiving takes and answers a request of its own. The app
// is not asked: only the app knows what a request does there.
import { once } from 'node:events';
import { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import { createPipeline, type PipelineOptions } from './pipeline.js';

const app: App = { kind: 'listener', handle: (_, res) => res.end('warm') };
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

/** @param options of the pipeline that is to be warm */
export async function warmUp(options: Omit<PipelineOptions, 'app'>): Promise<void> {
  const quiet = {
    accessLog: undefined,
    busy: undefined,
    files: undefined,
    compress: undefined,
    slot: undefined,
    migrationChannel: undefined,
    tell: () => {},
    onSession: () => {},
    activity: new Activity(),
  };
  const pipeline = await createPipeline({ ...options, ...quiet, app });
  const client = pipeline.connect().resume();
  client.end(request);
  await once(client, 'close');
  await pipeline.drain(0);
}
