// The URL of a running server, for `mpserve prove --target`. Resolves no name.
import type { Kind } from './kind.js';

export interface TargetUrl {
  readonly href: string;
  /** A name or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** For the header Host. */
  readonly authority: string;
  /** With the query. */
  readonly path: string;
}

const example = 'http://127.0.0.1:8080/health';
const ports: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export const targetUrl: Kind<TargetUrl, string> = {
  metavar: 'URL',
  range: 'http:// or https://',
  read(raw) {
    const text = String(raw);
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const defaultPort = ports[url?.protocol ?? ''];
    if (!url || defaultPort === undefined)
      return { refused: `be a URL that starts with http:// or https://, as in ${example}` };
    if (url.username !== '' || url.password !== '')
      return {
        refused: 'have no user or password, which the clients do not send',
        offender: `${url.protocol}//…@${url.host}`,
      };
    if (url.port === '0') return { refused: `have a port from 1 to 65535, as in ${example}` };
    return {
      value: {
        href: url.href,
        host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: url.port === '' ? defaultPort : Number(url.port),
        isTls: url.protocol === 'https:',
        authority: url.host,
        path: url.pathname + url.search,
      },
    };
  },
  write: ({ href }) => href,
};
