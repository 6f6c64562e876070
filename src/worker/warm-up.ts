// A worker that takes the place of another has its connections at once, and their clients would wait for all that runs for
// the first time in it. So, before it loads the app, it loads what it takes to receive them, and answers a request of its
// own. Of the app nothing runs twice: what a request does there, nobody knows but the app.
import { once } from 'node:events';
import { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import { IncomingConnection } from '../connection/incoming.js';
import { socketPair } from '../os/descriptor.js';
import { socketOn } from '../os/node-socket.js';
import { createPipeline, type PipelineOptions } from '../pipeline/pipeline.js';

const app: App = { kind: 'listener', handle: (_, res) => res.end('warm') };
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

/** @param options of the pipeline that is to be warm */
export async function warmUp(options: Omit<PipelineOptions, 'app'>): Promise<void> {
  const quiet = {
    accessLog: undefined,
    busy: undefined,
    migrationChannel: undefined,
    tell: () => {},
    activity: new Activity(),
  };
  const pipeline = await createPipeline({ ...options, ...quiet, app });
  const [ours, theirs] = socketPair();
  const client = socketOn(ours);
  const answered = once(client.resume(), 'close');
  const served = pipeline.adopt(IncomingConnection.ofDescriptor(theirs));
  client.end(request);
  await answered;
  await served;
  await pipeline.drain(0);
}
