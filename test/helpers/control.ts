// Asks the control socket of a server, as `curl --unix-socket` would.
import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what they expect
  readonly json: any;
}

export function ask(control: string, method: string, target: string, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: control, method, path: target }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
    });
    sent.on('error', reject).end(body);
  });
}
