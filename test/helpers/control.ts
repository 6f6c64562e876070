// Asks the control socket of a server, as `curl --unix-socket` would.
import { type OutgoingHttpHeaders, request } from 'node:http';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what they expect
  readonly json: any;
}

export async function ask(control: string, method: string, target: string, body = ''): Promise<Answer> {
  const { status, text } = await send(control, method, target, {}, body);
  return { status, json: JSON.parse(text) };
}

/** A page as it is. */
export function read(control: string, target: string): Promise<{ readonly status: number; readonly text: string }> {
  return send(control, 'GET', target, {}, '');
}

/**
 * The lines that the server writes while it performs an action: its progress, then the outcome.
 * @param onText called with each part of them as it comes
 */
export async function linesOf(
  control: string,
  target: string,
  onText = (_: string) => {},
  body = '',
): Promise<readonly object[]> {
  const { text } = await send(control, 'POST', target, { accept: 'application/x-ndjson' }, body, onText);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function send(
  socketPath: string,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  body: string,
  onText = (_: string) => {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        onText(part);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end(body);
  });
}
