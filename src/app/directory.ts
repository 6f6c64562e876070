// A directory as an app: `send` does ranges, conditional requests and types. Symbolic links are followed, also out
// of the directory, as nginx and Apache do: whoever may write there decides what is served. Paths never leave it.
import { createRequire } from 'node:module';
import type Send from 'send';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

/** What `send` has put on the response when it gives up. `content-range` stays with a 416 (RFC 9110, 15.5.17). */
const FILE_HEADERS = ['accept-ranges', 'cache-control', 'content-length', 'content-type', 'etag', 'last-modified'];
const RANGE_NOT_SATISFIABLE = 416;

/** `root` is absolute. Dotfiles do not exist for clients; `index.html` answers for a directory. */
export function directoryApp(root: string): App {
  const send = createRequire(import.meta.url)('send') as typeof Send; // `import()` would start the ES module loader
  return {
    kind: 'directory',
    handle(req, res) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        res.setHeader('allow', 'GET, HEAD');
        throw new HttpError(405, `a directory answers GET and HEAD, not ${req.method}`);
      }
      const pathname = pathOf(req.url ?? '/');
      return new Promise((resolve, reject) => {
        res.once('close', resolve);
        send(req, pathname, { root, dotfiles: 'ignore', index: 'index.html' })
          .once('error', (error: Error & { status?: number }) => {
            const status = error.status ?? 500;
            if (!res.headersSent) {
              for (const name of FILE_HEADERS) res.removeHeader(name);
              if (status !== RANGE_NOT_SATISFIABLE) res.removeHeader('content-range');
            }
            reject(new HttpError(status, error.message, { cause: error }));
          })
          .pipe(res);
      });
    },
  };
}

/** Still percent-encoded. A target may be a whole URL (RFC 9112, 3.2.2). */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target.split('?', 1)[0] as string;
  if (URL.canParse(target)) return new URL(target).pathname;
  throw new HttpError(400, `not a path: ${target}`);
}
