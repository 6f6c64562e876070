// The head of a response as a text: as Node has written it in the thread, without the fields that the process adds.

export interface ResponseHead {
  readonly status: number;
  readonly message: string;
  /** Names and values in turn. */
  readonly headers: string[];
}

const chunked = 'Transfer-Encoding: chunked\r\n';
/** `HTTP/1.1 200 `. */
const statusAt = 9;
const messageAt = 13;

/** @param head that Node has written. @param isChunked it is to be sent in chunks, as Node, or the app, has decided */
export function responseHeadText(head: string, isChunked: boolean): string {
  const end = head.length - '\r\n'.length;
  // Node writes this field, if it does, at the end, and the process does again.
  const isAdded = isChunked && head.endsWith(chunked, end);
  return head.slice(0, (isAdded ? end - chunked.length : end) - '\r\n'.length);
}

export function readResponseHead(text: string): ResponseHead {
  let at = text.indexOf('\r\n');
  const first = at < 0 ? text.length : at;
  const headers: string[] = [];
  while (at >= 0) {
    const start = at + 2;
    at = text.indexOf('\r\n', start);
    const end = at < 0 ? text.length : at;
    const colon = text.indexOf(':', start);
    headers.push(text.slice(start, colon), text.slice(colon + 2, end));
  }
  return { status: Number(text.slice(statusAt, statusAt + 3)), message: text.slice(messageAt, first), headers };
}

/** @param lines as Node writes them. @returns names and values, in pairs */
export function readTrailers(lines: string): [string, string][] {
  const trailers: [string, string][] = [];
  for (const line of lines.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) trailers.push([line.slice(0, colon), line.slice(colon + 2)]);
  }
  return trailers;
}
