// A request that changes something makes what is stored of its target out of date, and of those that its response names (RFC
// 9111, section 4.4).
import { headerOf } from '../cache/request-facts.js';
import { readHead } from '../cache/response-head.js';
import type { CacheStore } from '../cache/store.js';
import { writtenHead } from './answering.js';
import type { PipelineResponse } from './response.js';

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export function isSafe(method: string): boolean {
  return safeMethods.has(method);
}

/** @returns a function to call with the response of an unsafe request, before anything of it is sent */
export function invalidation(store: CacheStore): (res: PipelineResponse) => void {
  return (res) => {
    const { statusCode, statusMessage, reqUrl } = res;
    if (statusCode < 200 || statusCode >= 400) return;
    void store.delete(reqUrl);
    for (const { name, value } of readHead(writtenHead(res), statusCode, statusMessage).fields) {
      if (name !== 'location' && name !== 'content-location') continue;
      const target = targetOf(res, value);
      if (target !== undefined) void store.delete(target);
    }
  };
}

/** @returns the target that a URL names, if it is of the same host */
function targetOf({ req, reqUrl }: PipelineResponse, url: string): string | undefined {
  const host = headerOf(req.rawHeaders, 'host');
  try {
    const base = new URL(reqUrl, `http://${host}`);
    const { host: theirs, pathname, search } = new URL(url, base);
    return theirs === base.host ? pathname + search : undefined;
  } catch {
    return undefined; // it is no URL
  }
}
