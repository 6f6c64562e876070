// The head of a request as a text: its parts, none of which has a line break. One text takes less time to send than a list.
import type { Socket } from 'node:net';

/** The two ends of a connection; an address is '' where there is none, as on a Unix socket. */
export interface Ends {
  readonly remoteAddress: string;
  readonly remotePort: string;
  readonly remoteFamily: string;
  readonly localAddress: string;
  readonly localPort: string;
}

export interface RequestHead {
  readonly reqId: string;
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly ends: Ends;
  readonly rawHeaders: string[];
}

/** Of the text, before the headers. */
const fields = 9;

/** @param ends of `endsOf` */
export function requestHeadText(
  reqId: string,
  method: string,
  url: string,
  httpVersion: string,
  ends: string,
  rawHeaders: readonly string[],
): string {
  const line = `${reqId}\n${method}\n${url}\n${httpVersion}\n${ends}`;
  return rawHeaders.length === 0 ? line : `${line}\n${rawHeaders.join('\n')}`;
}

/** The same for all requests of a connection. */
function endsText({ remoteAddress, remotePort, remoteFamily, localAddress, localPort }: Ends): string {
  return `${remoteAddress}\n${remotePort}\n${remoteFamily}\n${localAddress}\n${localPort}`;
}

export function readRequestHead(text: string): RequestHead {
  const parts = text.split('\n');
  const [reqId = '', method = '', url = '', httpVersion = '', remoteAddress = '', remotePort = ''] = parts;
  const [remoteFamily = '', localAddress = '', localPort = ''] = parts.slice(6, fields);
  return {
    reqId,
    method,
    url,
    httpVersion,
    ends: { remoteAddress, remotePort, remoteFamily, localAddress, localPort },
    rawHeaders: parts.splice(fields),
  };
}

const ends = Symbol('mpserve.ends');
type Ended = Socket & { [ends]?: string };

/** The ends of a connection as a text, which is made once for all its requests. */
export function endsOf(socket: Ended): string {
  let text = socket[ends];
  if (text === undefined) {
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = socket;
    text = endsText({
      remoteAddress: remoteAddress ?? '',
      remotePort: String(remotePort ?? ''),
      remoteFamily: remoteFamily ?? '',
      localAddress: localAddress ?? '',
      localPort: String(localPort ?? ''),
    });
    if (remoteAddress !== undefined || !socket.destroyed) socket[ends] = text;
  }
  return text;
}
