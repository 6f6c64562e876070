// Before the first trial: learns the app's normal responses. A later response that differs counts as lost.
import { ExitCode, StartupError } from '../errors.js';
import { slowBodyBytes, uploadHead } from './client.js';
import { ClientConnection } from './client-connection.js';
import type { Workload } from './messages.js';
import type { ResponseSummary } from './response-reader.js';

export interface ExpectedResponses {
  readonly status: number;
  /** The path that takes a POST body; a reason as text if it takes none. */
  readonly upload: Required<Workload>['upload'] | string;
}

/** @param uploadPath the path of the POST request. @throws StartupError when the app has no normal response to GET */
export async function checkResponses(port: number, path: string, uploadPath: string): Promise<ExpectedResponses> {
  const get = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: mpserve-prove\r\n\r\n`;
  const [first, second] = [await send(port, get), await send(port, get)];
  const problem = problemWith(first, second);
  if (problem) throw new StartupError(ExitCode.app, `GET ${path} ${problem}; use another path with --url`);
  return { status: (first as ResponseSummary).status, upload: await checkUpload(port, uploadPath) };
}

async function checkUpload(port: number, path: string): Promise<ExpectedResponses['upload']> {
  const post = `${uploadHead(path)}${'x'.repeat(slowBodyBytes)}`;
  const [first, second] = [await send(port, post), await send(port, post)];
  const problem = problemWith(first, second);
  return problem ? `POST ${path} ${problem}` : { path, status: (first as ResponseSummary).status };
}

/** @returns why these responses cannot serve as the expected ones; undefined if they can */
function problemWith(first: ResponseSummary | string, second: ResponseSummary | string): string | undefined {
  if (typeof first === 'string') return `got no response (${first})`;
  if (typeof second === 'string') return `got no response the second time (${second})`;
  if (first.status !== second.status) return `returned status ${first.status} and then ${second.status}`;
  if (first.status >= 500) return `returned status ${first.status}`;
  if (first.closes) return 'returned "connection: close", so no connection can be kept alive';
  return undefined;
}

/** @returns the response, or why there is none */
async function send(port: number, text: string): Promise<ResponseSummary | string> {
  const connection = new ClientConnection(port);
  const outcome = await connection.send({ text });
  connection.close();
  return 'lost' in outcome ? outcome.lost : outcome.response;
}
