// One line for each request, written by the worker that served it. The line has the shape of pino's but is put
// together here: pino costs a worker 17 ms at its start, and three times as much CPU for each line
// (docs/decisions/0004-access-lines.md). Lines are gathered and written whole; see `log/line.ts`.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import sonic from 'sonic-boom';
import { now } from '../clock.js';
import type { WorkerIdentity } from '../events.js';
import type { Destination } from '../log/destination.js';
import { fitLine } from '../log/line.js';
import type { Stage } from './stage.js';

/** Lines wait at most this long for company (milliseconds). */
const flushEvery = 100;
const info = 30; // pino's level

export class AccessLog {
  readonly #sink: sonic.SonicBoom;
  readonly #whole: number;
  readonly #worker: string;

  constructor({ fd, whole }: Destination, { pid, tid }: WorkerIdentity) {
    this.#whole = whole;
    this.#worker = `"pid":${pid},"tid":${tid},"event":"request"`;
    // Synchronous: what write(2) took is written once, and a process that exits loses and repeats nothing.
    this.#sink = new sonic.SonicBoom({
      fd,
      sync: true,
      minLength: whole / 2,
      maxWrite: whole,
      periodicFlush: flushEvery,
      contentMode: 'buffer',
    });
    // The reader of a pipe went away, or the disk is full. The requests go on; the supervisor's log says the rest.
    this.#sink.on('error', () => {});
    process.once('exit', () => this.flush());
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    const { socket } = req;
    const started = now();
    const before = socket.bytesWritten;
    const remote = socket.remoteAddress; // asked for while it is known; Node keeps the answer
    res.on('close', () => this.#line(req, res.statusCode, socket.bytesWritten - before, started, reqId, remote));
    return next(req, res, reqId);
  };

  /** The line of a request that became another protocol, once that has ended. */
  upgraded(req: IncomingMessage, socket: Duplex, reqId: string): void {
    const started = now();
    const { bytesWritten: before, remoteAddress: remote } = req.socket;
    socket.once('close', () => this.#line(req, 101, req.socket.bytesWritten - before, started, reqId, remote));
  }

  flush(): void {
    try {
      this.#sink.flushSync();
    } catch {} // as for 'error' above
  }

  #line(
    req: IncomingMessage,
    status: number,
    bytes: number,
    started: number,
    reqId: string,
    remote: string | undefined,
  ): void {
    const took = Math.round((now() - started) * 1000) / 1000;
    const line =
      `{"level":${info},"time":${Date.now()},${this.#worker},"reqId":"${reqId}","method":"${req.method}",` +
      `"url":${JSON.stringify(req.url)},"status":${status},"bytes":${bytes},"durationMs":${took},` +
      `"remote":"${remote ?? 'unix'}"}\n`;
    // Its types know only the mode for strings, in which it measures all that it has gathered at each write.
    this.#sink.write(Buffer.from(fitLine(line, this.#whole)) as unknown as string);
  }
}
