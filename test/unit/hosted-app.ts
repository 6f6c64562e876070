// Starts test/fixtures/host-app.js with one app, in a process or a thread, and ends it again.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { patience } from '../helpers/eventually.ts';
import { fixture, root } from '../helpers/server.ts';

const script = path.join(root, 'test/fixtures/host-app.js');

export interface Report {
  readonly kind?: string;
  readonly port?: number;
  readonly told?: unknown;
  readonly argv?: string[];
  /** Of a request that `handle` threw or rejected for. */
  readonly failed?: string;
  readonly failure?: { name: string; exitCode: number; message: string; cause?: string };
}

/** An app that was loaded, or that failed to: `report` says which. */
export class HostedApp implements AsyncDisposable {
  readonly reports: Report[] = [];
  output = '';

  constructor(
    readonly report: Report,
    private readonly end: () => Promise<void>,
  ) {}

  get url(): string {
    assert(this.report.port !== undefined, `it failed to load: ${this.report.failure?.message}`);
    return `http://127.0.0.1:${this.report.port}`;
  }

  get failure(): NonNullable<Report['failure']> {
    assert(this.report.failure !== undefined, `it loaded: ${JSON.stringify(this.report)}`);
    return this.report.failure;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

export interface Hosting {
  readonly inThread?: boolean;
  readonly addresses?: readonly unknown[];
  /** Milliseconds. */
  readonly timeout?: number;
}

/** `app` is the name of a fixture, or an absolute path. */
export async function host(app: string, { inThread = false, ...rest }: Hosting = {}): Promise<HostedApp> {
  const address = { address: '192.0.2.1', family: 'IPv4', port: 8080 };
  const target = path.isAbsolute(app) ? app : fixture(app);
  const request = { target, addresses: [address], demoFaults: false, timeout: patience, ...rest };
  return inThread ? hostInThread(request) : hostInProcess(request);
}

async function hostInProcess(request: object): Promise<HostedApp> {
  const child = fork(script, [JSON.stringify(request)], { silent: true });
  const gone = once(child, 'close');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (hosted) hosted.output = output;
    });
  }
  let hosted: HostedApp | undefined;
  const first = await Promise.race([once(child, 'message'), gone.then(() => undefined)]);
  assert(first !== undefined, `the host ended without a report: ${output}`);
  hosted = new HostedApp(first[0] as Report, async () => {
    child.kill('SIGKILL');
    await gone;
  });
  hosted.output = output;
  child.on('message', (report: Report) => hosted.reports.push(report));
  return hosted;
}

async function hostInThread(workerData: object): Promise<HostedApp> {
  const worker = new Worker(script, { workerData, stdout: true, stderr: true });
  const [report] = (await once(worker, 'message')) as [Report];
  const hosted = new HostedApp(report, async () => {
    await worker.terminate();
  });
  worker.on('message', (later: Report) => hosted.reports.push(later));
  return hosted;
}
