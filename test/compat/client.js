// The requests of the checks. `page` and what stands on it use the connections of `fetch`; `alone` opens one for
// each request.
import http from 'node:http';

/** @returns {Promise<{ status: number, headers: Headers, text: string }>} */
export async function page(url, init = {}) {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The body of a response of 2xx, as JSON. */
export async function json(url, init) {
  const { status, text } = await page(url, init);
  if (status < 200 || status > 299) throw new Error(`${url} answered ${status}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}

export function post(value) {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

export async function graphql(url, query) {
  const { data, errors } = await json(url, post({ query }));
  if (errors) throw new Error(`${query}: ${errors[0].message}`);
  return data;
}

/** The data of the server-sent events of a response that ends. */
export async function events(url, init) {
  const { status, text } = await page(url, init);
  if (status !== 200) throw new Error(`${url} answered ${status}: ${text.slice(0, 200)}`);
  return [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data);
}

/** A request on a connection of its own. */
export function alone(url, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, headers, timeout: 30_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${url} did not answer within 30 s`)));
    request.on('error', reject);
  });
}
