// Before anything is put to the proof: what the app answers, so that everything else it answers later is a fault.
import { ExitCode, StartupError } from '../errors.js';
import { slowBody, uploadHead } from './client.js';
import { Line } from './client-connection.js';
import type { Job } from './messages.js';
import type { Answer } from './response-reader.js';

export interface Target {
  readonly status: number;
  /** What takes bodies; a reason in words where nothing does. */
  readonly upload: Required<Job>['upload'] | string;
}

const host = '127.0.0.1';

/** @param uploadPath asked with POST. @throws StartupError when there is nothing that could be expected of it */
export async function check(port: number, path: string, uploadPath: string): Promise<Target> {
  const get = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: mpserve-prove\r\n\r\n`;
  const [first, second] = [await ask(port, get), await ask(port, get)];
  const whole = whatIsWrong(first, second);
  if (whole) throw new StartupError(ExitCode.app, `GET ${path} ${whole}; name another path with --url`);
  return { status: (first as Answer).status, upload: await checkUpload(port, uploadPath) };
}

async function checkUpload(port: number, path: string): Promise<Target['upload']> {
  const post = `${uploadHead(path)}${'x'.repeat(slowBody)}`;
  const [first, second] = [await ask(port, post), await ask(port, post)];
  const wrong = whatIsWrong(first, second);
  return wrong ? `POST ${path} ${wrong}` : { path, status: (first as Answer).status };
}

/** @returns why later answers could not be judged by these, in words; undefined if they can */
function whatIsWrong(first: Answer | string, second: Answer | string): string | undefined {
  if (typeof first === 'string') return `is not answered (${first})`;
  if (typeof second === 'string') return `is not answered the second time (${second})`;
  if (first.status !== second.status) return `is answered with ${first.status} first, and then with ${second.status}`;
  if (first.status >= 500) return `is answered with ${first.status}`;
  if (first.closes) return 'is answered with an announcement that the connection closes, so none can be kept';
  return undefined;
}

/** @returns the answer, or why there is none */
async function ask(port: number, text: string): Promise<Answer | string> {
  const line = new Line(host, port);
  const outcome = await line.ask({ atOnce: text });
  line.close();
  return 'lost' in outcome ? outcome.lost : outcome.answer;
}
