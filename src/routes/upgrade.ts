// Forwards a request to switch to another protocol (Upgrade, CONNECT), and then what both ends send.
import { type IncomingMessage, request, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { deferred } from '../deferred.js';
import { HttpError } from '../errors.js';
import { sealed, takeWorker } from '../pipeline/forwarding.js';
import type { UpgradeEvent } from '../pipeline/upgrades.js';
import { endToEnd, headText } from './fields.js';
import { maxResponseHead, type Target } from './target.js';
import { connectionFor } from './upstream.js';

/** Settles when it has been answered. @throws HttpError where the worker cannot answer */
export function forwardUpgrade(
  target: Target,
  event: UpgradeEvent,
  req: IncomingMessage,
  client: Duplex,
  head: Buffer,
): Promise<void> {
  const outcome = deferred<void>();
  const { method = '', url = '' } = req;
  const out = request({
    createConnection: () => connectionFor(req.socket, target.path),
    method,
    path: url,
    headers: sealed(req, ''),
    setHost: false,
    maxHeaderSize: maxResponseHead,
  });
  const gone = (): void => void out.destroy();
  client.once('close', gone);
  client.on('error', gone);
  out.on(event, (answer, upstream: Socket, first) => {
    client.off('close', gone);
    const { httpVersion, statusCode, statusMessage, rawHeaders } = answer;
    takeWorker(rawHeaders);
    client.write(headText(`HTTP/${httpVersion} ${statusCode} ${statusMessage}`, rawHeaders), 'latin1');
    join(client, upstream, head, first);
    outcome.resolve();
  });
  const failed = (error: Error): void => {
    outcome.reject(new HttpError(502, `a worker of the route ${target.match} has not answered: ${error.message}`));
  };
  // The app does not switch.
  out.on('response', (answer) => {
    const res = new ServerResponse(req);
    res.assignSocket(req.socket);
    res.shouldKeepAlive = false; // what the client has sent besides is in neither protocol
    res.sendDate = false;
    const fields = endToEnd(answer.rawHeaders);
    takeWorker(fields);
    try {
      res.writeHead(answer.statusCode ?? 502, answer.statusMessage, fields);
    } catch (error) {
      failed(error as Error);
      return;
    }
    answer.pipe(res);
    res.once('finish', () => {
      client.end();
      outcome.resolve();
    });
    answer.on('error', () => client.destroy());
  });
  out.on('error', failed);
  out.end();
  return outcome.promise;
}

function join(client: Duplex, upstream: Socket, head: Buffer, first: Buffer): void {
  if (head.length > 0) upstream.write(head);
  if (first.length > 0) client.write(first);
  client.pipe(upstream).pipe(client);
  for (const [end, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    end.on('error', () => other.destroy());
    // One that has ended has ended the other, too, when that has all its bytes.
    end.once('close', () => end.readableEnded || other.destroy());
  }
}
