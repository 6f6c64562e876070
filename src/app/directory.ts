// Serves the static files of a directory: `send` handles ranges, conditional requests and media types. Follows symbolic
// links, also to targets outside of the directory, as nginx and Apache do. A request path never leaves the directory.
import { createRequire } from 'node:module';
import type Send from 'send';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

/** Headers that `send` has set before it fails; they are removed. A 416 keeps `content-range` (RFC 9110, 15.5.17). */
const FILE_HEADERS = ['accept-ranges', 'cache-control', 'content-length', 'content-type', 'etag', 'last-modified'];
const RANGE_NOT_SATISFIABLE = 416;

/** `root` is absolute. A dotfile is a 404; `index.html` is the index of a directory. */
export function directoryApp(root: string): App {
  const send = createRequire(import.meta.url)('send') as typeof Send; // `import()` would start the slow ES module loader
  return {
    kind: 'directory',
    handle(req, res) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        res.setHeader('allow', 'GET, HEAD');
        throw new HttpError(405, `static files allow GET and HEAD, not ${req.method}`);
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

/** The path of a request target, percent-encoded. A target may be an absolute URL (RFC 9112, 3.2.2). */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target.split('?', 1)[0] as string;
  if (URL.canParse(target)) return new URL(target).pathname;
  throw new HttpError(400, `invalid request target: ${target}`);
}
