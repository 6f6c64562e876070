// Serves the files of one directory: decides which file a path names, and what is said where there is none.
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { StaticMount } from '../config/static-mount.js';
import { HttpError } from '../errors.js';
import { acceptedCodings } from '../http/coding.js';
import { answerTo, type FileAnswer, notFound, whole } from './answer.js';
import { fieldsOf } from './fields.js';
import { OpenFile } from './file.js';
import { FileChanged, sendFile } from './file-sender.js';
import { type Absent, type Entry, FileStore, type Files } from './file-store.js';
import { listing, listingHeaders } from './listing.js';
import type { Media } from './media.js';
import type { Representation } from './representation.js';
import { Resource } from './resource.js';
import { Root } from './root.js';
import { encodePath, queryOf } from './target.js';

export interface DirectoryOptions extends StaticMount {
  /** There is no other app: what is not a file is an error. */
  readonly isApp: boolean;
}

/** That of the pipeline, which writes these lines into the head. */
export interface FileResponse extends ServerResponse {
  fieldLines: string | undefined;
}

/** One request for something in the directory. */
export interface FileRequest {
  /** Of the file in the directory: `/a/b`, `/a/`, or nothing for the directory itself, without a slash. */
  readonly name: string;
  /** The whole path on the server. */
  readonly path: string;
  readonly req: IncomingMessage;
  readonly res: FileResponse;
  /** Milliseconds of `clock.ts`. */
  readonly at: number;
  /** Passes the request on to the app. */
  readonly pass: () => unknown;
}

/** Larger files are streamed (bytes). */
const maxSmall = 256 * 1024;
/** No file takes more of the memory than this part. */
const maxPart = 1 / 8;
/** A file that changes between two of its readings is asked for again, up to this often. */
const maxAttempts = 5;
const immutable = 'public, max-age=31536000, immutable';
const revalidated = 'public, max-age=0';

export class StaticDirectory {
  readonly #options: DirectoryOptions;
  readonly #prefix: string;
  readonly #root: Root;
  readonly #store: FileStore;

  /** @param memory shared by all directories. @param memoryBytes its size */
  constructor(options: DirectoryOptions, memory: Files, memoryBytes: number) {
    this.#options = options;
    this.#prefix = options.path === '/' ? '' : options.path;
    this.#root = new Root(options.dir);
    // Pages name the files that never change, and change with them.
    const cacheControl = ({ type }: Media): string =>
      options.immutable && !type.startsWith('text/html') ? immutable : revalidated;
    const maxInMemory = memoryBytes * maxPart;
    const limits = { maxInMemory, maxSmall: memoryBytes === 0 ? maxSmall : Math.min(maxSmall, maxInMemory) };
    const prefix = this.#prefix && `${this.#prefix}\0`;
    this.#store = new FileStore({ root: this.#root, cacheControl, ...limits }, memory, prefix);
  }

  get dir(): string {
    return this.#root.dir;
  }

  /** @returns the name in this directory of what `path` names; undefined if that is elsewhere */
  nameOf(path: string): string | undefined {
    const prefix = this.#prefix;
    if (prefix === '') return path;
    if (!path.startsWith(prefix)) return undefined;
    return path.length === prefix.length || path[prefix.length] === '/' ? path.slice(prefix.length) : undefined;
  }

  serve(request: FileRequest, attempt = 1): unknown {
    const { name, at } = request;
    const entry = this.#store.get(name === '/' ? '/index.html' : name.endsWith('/') ? `${name}index.html` : name, at);
    if (entry instanceof Promise) return entry.then((entry) => this.#answer(entry, request, attempt));
    return this.#answer(entry, request, attempt);
  }

  /** @returns the small file of this name */
  async small(name: string, at: number): Promise<Buffer | undefined> {
    const entry = await this.#store.get(name, at);
    return entry instanceof Resource ? entry.plain.bytes : undefined;
  }

  #answer(entry: Entry, request: FileRequest, attempt: number): unknown {
    if (entry instanceof Resource) {
      if (!isRead(request.req)) throw notAllowed(request);
      return this.#sendResource(entry, request, attempt);
    }
    return this.#answerWithout(entry, request, attempt);
  }

  async #answerWithout(entry: Absent, request: FileRequest, attempt: number): Promise<unknown> {
    const { name, path, req, res, at } = request;
    if (isRead(req)) {
      if (entry.kind === 'directory' && !name.endsWith('/') && (await this.#hasPage(`${name}/`, at))) {
        res.writeHead(301, { location: `${encodePath(path)}/${queryOf(req.url ?? '')}`, 'content-length': 0 });
        return void res.end();
      }
      if (name.endsWith('/') && this.#options.listing) {
        const page = await listing(this.#root, name, path);
        if (page !== undefined) return sendPage(res, page);
      }
      if (this.#options.spa && wantsPage(request, this.#options.isApp)) {
        const index = await this.#store.get('/index.html', at);
        if (index instanceof Resource) return this.#sendResource(index, { ...request, name: '/' }, attempt);
      }
    }
    if (!this.#options.isApp) return request.pass();
    if (!isRead(req)) throw notAllowed(request);
    if (entry.kind === 'forbidden') throw new HttpError(403, `the server may not read ${path}`);
    const page = await this.#store.get('/404.html', at);
    if (page instanceof Resource) return this.#sendResource(page, { ...request, name: '/404.html' }, attempt, false);
    throw new HttpError(404, `there is no file ${path}`);
  }

  /** Whether the directory has something to show. */
  async #hasPage(name: string, at: number): Promise<boolean> {
    return this.#options.listing || (await this.#store.get(`${name}index.html`, at)) instanceof Resource;
  }

  #sendResource(resource: Resource, request: FileRequest, attempt: number, isFound = true): unknown {
    const { acceptEncoding, isSpecial } = fieldsOf(request.req);
    const accepted = acceptedCodings(acceptEncoding);
    const chosen = resource.chosen(accepted);
    if (chosen?.bytes && isFound && !isSpecial && request.req.method === 'GET') return sendKept(chosen, request.res);
    const sending = { request, resource, isFound, isSpecial, attempt };
    if (chosen) return this.#send(chosen, sending);
    return resource.choose(accepted).then((chosen) => {
      this.#store.grown(resource);
      return this.#send(chosen, sending);
    });
  }

  #send(form: Representation, sending: Sending): unknown {
    const { req, res } = sending.request;
    const { bytes } = form;
    const { isSpecial, isFound } = sending;
    const answer = isFound ? (isSpecial ? answerTo(req, form) : whole(form)) : notFound(form);
    const writeHead = () => res.writeHead(answer.status, answer.headers as OutgoingHttpHeader[]);
    if (req.method === 'HEAD' || answer.pieces.length === 0) return void writeHead().end();
    if (!bytes) return this.#stream(form, answer, writeHead, sending);
    const parts = answer.pieces.map((one) => (Buffer.isBuffer(one) ? one : bytes.subarray(one.start, one.end)));
    writeHead().end(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    return undefined;
  }

  async #stream(
    form: Representation,
    { pieces }: FileAnswer,
    writeHead: () => void,
    sending: Sending,
  ): Promise<unknown> {
    const { request, resource, attempt } = sending;
    // It is the file that was found inside of the root.
    const file = OpenFile.reopen(this.#root.pathOf(form.name), form.version);
    if (file) {
      try {
        return await sendFile(request.res, file, pieces, writeHead);
      } catch (error) {
        if (request.res.headersSent) throw error;
        if (!(error instanceof FileChanged))
          throw new HttpError(503, `${request.path} cannot be read`, { cause: error });
      } finally {
        file.close();
      }
    }
    // It is another version by now.
    this.#store.forget(resource.name);
    if (attempt === maxAttempts) throw new HttpError(503, `the file ${request.path} changes all the time`);
    return this.serve(request, attempt + 1);
  }
}

/** The usual case, which has to be fast. */
function sendKept({ bytes, text, lines }: Representation, res: FileResponse): void {
  res.fieldLines = lines;
  if (text === undefined) res.end(bytes);
  else res.end(text, 'latin1');
}

interface Sending {
  readonly request: FileRequest;
  readonly resource: Resource;
  /** Otherwise it is the page of a 404. */
  readonly isFound: boolean;
  /** The request has a condition or a range. */
  readonly isSpecial: boolean;
  readonly attempt: number;
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function notAllowed({ req, res }: FileRequest): HttpError {
  res.setHeader('allow', 'GET, HEAD');
  return new HttpError(405, `static files allow GET and HEAD, not ${req.method}`);
}

/** In front of an app, only what a browser asks for as a page: the app may have other paths. */
function wantsPage({ name, req }: FileRequest, isApp: boolean): boolean {
  if (name.slice(name.lastIndexOf('/') + 1).includes('.')) return false;
  const { accept } = req.headers;
  if (accept === undefined) return isApp;
  return accept.includes('text/html') || (isApp && accept.includes('*/*'));
}

function sendPage(res: ServerResponse, page: string): void {
  const length = ['content-length', Buffer.byteLength(page)];
  res.writeHead(200, [...listingHeaders.flat(), ...length]).end(page);
}
