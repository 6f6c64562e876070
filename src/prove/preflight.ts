// Before the first trial: learns the app's normal responses. A later response that differs counts as lost.
import { ExitCode, StartupError } from '../errors.js';
import type { ResponseSummary } from '../testbed/response-reader.js';
import { getHead, slowBodyBytes, uploadHead } from './client.js';
import { ClientConnection } from './client-connection.js';
import type { Endpoint, Workload } from './messages.js';

export interface ExpectedResponses {
  readonly status: number;
  /** The path that takes a POST body; a reason as text if it takes none. */
  readonly upload: Required<Workload>['upload'] | string;
}

/**
 * @param uploadPath the path of the POST request
 * @param advice ends the error of an app without a normal response
 * @throws StartupError when nothing listens there, or the app has no normal response to GET
 */
export async function checkResponses(
  endpoint: Endpoint,
  path: string,
  uploadPath: string,
  advice = 'use another path with --url',
): Promise<ExpectedResponses> {
  const status = await normalStatus(endpoint, `${getHead(endpoint, path)}\r\n`);
  if (typeof status === 'string') throw new StartupError(ExitCode.app, `GET ${path} ${status}; ${advice}`);
  const postStatus = await normalStatus(endpoint, `${uploadHead(endpoint, uploadPath)}${'x'.repeat(slowBodyBytes)}`);
  const hasUpload = typeof postStatus === 'number';
  return { status, upload: hasUpload ? { path: uploadPath, status: postStatus } : `POST ${uploadPath} ${postStatus}` };
}

/** Sends a request twice. @returns the status of both responses, or why they cannot serve as the expected ones */
async function normalStatus(endpoint: Endpoint, text: string): Promise<number | string> {
  const [first, second] = [await send(endpoint, text), await send(endpoint, text)];
  if (typeof first === 'string') return `got no response (${first})`;
  if (typeof second === 'string') return `got no response the second time (${second})`;
  if (first.status !== second.status) return `returned status ${first.status} and then ${second.status}`;
  if (first.status >= 500) return `returned status ${first.status}`;
  if (first.closes) return 'returned "connection: close", so no connection can be kept alive';
  return first.status;
}

/** @returns the response, or why there is none. @throws StartupError when there is no connection */
async function send(endpoint: Endpoint, text: string): Promise<ResponseSummary | string> {
  const connection = new ClientConnection(endpoint);
  const outcome = await connection.send({ text });
  connection.close();
  if ('response' in outcome) return outcome.response;
  if (connection.hasConnected) return outcome.lost;
  const { host, port } = endpoint;
  throw new StartupError(ExitCode.boot, `no server answers at ${host}, port ${port}: ${outcome.lost}; is it running?`);
}
