// A directory of static files as the app: the pipeline serves the files.
import { HttpError } from '../errors.js';
import type { App } from './app.js';

export function directoryApp(): App {
  return {
    kind: 'directory',
    handle(req) {
      throw new HttpError(404, `there is no file ${req.url}`);
    },
  };
}
