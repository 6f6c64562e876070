// Before the first trial: learns the app's normal responses. A later response that differs counts as lost.
import { ExitCode, StartupError } from '../errors.js';
import type { ResponseSummary } from '../testbed/response-reader.js';
import { slowBodyBytes, uploadHead } from './client.js';
import { ClientConnection } from './client-connection.js';
import type { Workload } from './messages.js';

export interface ExpectedResponses {
  readonly status: number;
  /** The path that takes a POST body; a reason as text if it takes none. */
  readonly upload: Required<Workload>['upload'] | string;
}

/** @param uploadPath the path of the POST request. @throws StartupError when the app has no normal response to GET */
export async function checkResponses(port: number, path: string, uploadPath: string): Promise<ExpectedResponses> {
  const get = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: mpserve-prove\r\n\r\n`;
  const status = await normalStatus(port, get);
  if (typeof status === 'string') {
    throw new StartupError(ExitCode.app, `GET ${path} ${status}; use another path with --url`);
  }
  const postStatus = await normalStatus(port, `${uploadHead(uploadPath)}${'x'.repeat(slowBodyBytes)}`);
  const hasUpload = typeof postStatus === 'number';
  return { status, upload: hasUpload ? { path: uploadPath, status: postStatus } : `POST ${uploadPath} ${postStatus}` };
}

/** Sends a request twice. @returns the status of both responses, or why they cannot serve as the expected ones */
async function normalStatus(port: number, text: string): Promise<number | string> {
  const [first, second] = [await send(port, text), await send(port, text)];
  if (typeof first === 'string') return `got no response (${first})`;
  if (typeof second === 'string') return `got no response the second time (${second})`;
  if (first.status !== second.status) return `returned status ${first.status} and then ${second.status}`;
  if (first.status >= 500) return `returned status ${first.status}`;
  if (first.closes) return 'returned "connection: close", so no connection can be kept alive';
  return first.status;
}

/** @returns the response, or why there is none */
async function send(port: number, text: string): Promise<ResponseSummary | string> {
  const connection = new ClientConnection(port);
  const outcome = await connection.send({ text });
  connection.close();
  return 'lost' in outcome ? outcome.lost : outcome.response;
}
