// A response in the cache, ready to be sent: its fields are one text, as each client gets the same ones but Age and
// Cache-Status.
import type { Freshness } from './freshness.js';
import { type Field, fieldOf, type ResponseHead, readHead } from './response-head.js';
import { isSelected, type Selecting } from './selecting.js';

/** A small body is text of one byte a character: Node sends it in one piece with the head, which is the quickest. */
export type Body = string | Buffer;

/** Characters up to which a body is text. */
const maxTextBody = 8192;

/** What belongs to one connection (RFC 9110, section 7.6.1), and what the server writes itself. */
const dropped = new Set([
  'age',
  'cache-status',
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
]);

/** Fields of a 304 (RFC 9110, section 15.4.5). */
const ofNotModified = new Set([
  'cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
]);

/** What V8 and the store need for a response besides its text and body, as measured (bytes). */
const overheadBytes = 1024;

export interface StoredParts {
  readonly head: ResponseHead;
  readonly body: Body;
  readonly freshness: Freshness;
  readonly selecting: Selecting;
  /** When the response began, and when the request did, after which nothing may have purged it (`clock.ts`). */
  readonly storedAt: number;
  readonly requestedAt: number;
}

export class StoredResponse {
  readonly status: number;
  readonly message: string;
  readonly body: Body;
  readonly bodyBytes: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly tags: readonly string[];
  readonly selecting: Selecting;
  readonly requestedAt: number;
  readonly freshness: Freshness;
  /** A request to the app that validates it is on its way. */
  isBeingValidated = false;
  /** Read again when it is needed: many a response never is, and its fields would be most of what the memory has. */
  readonly #headText: string;
  readonly storedAt: number;
  #text: string | undefined;
  #age = -1;
  /** Of a hit at that age. */
  #hitText = '';

  constructor({ head, body, freshness, selecting, storedAt, requestedAt }: StoredParts) {
    this.status = head.status;
    this.message = head.message;
    this.body = body;
    this.bodyBytes = body.length;
    this.freshness = freshness;
    this.selecting = selecting;
    this.requestedAt = requestedAt;
    this.storedAt = storedAt;
    this.#headText = head.text;
    this.etag = fieldOf(head, 'etag');
    this.lastModified = fieldOf(head, 'last-modified');
    this.tags = tagsOf(head);
  }

  /** With these it is made again, in another process. */
  get parts(): StoredParts {
    const { status, message, body, freshness, selecting, requestedAt } = this;
    const head = readHead(this.#headText, status, message);
    return { head, body, freshness, selecting, storedAt: this.storedAt, requestedAt };
  }

  /** What it takes in memory, about. */
  get bytes(): number {
    let selecting = 0;
    for (const [name, value = ''] of this.selecting) selecting += name.length + value.length;
    // The text of the fields is made from that of the head, and that of a hit from this.
    return this.bodyBytes + 3 * this.#headText.length + selecting + overheadBytes;
  }

  /** Those that every client gets. */
  get fields(): readonly Field[] {
    return keptFields(readHead(this.#headText, this.status, this.message));
  }

  /** Each field with CR LF. */
  get text(): string {
    this.#text ??= textOf(this.fields);
    return this.#text;
  }

  isFor(rawHeaders: readonly string[]): boolean {
    return this.selecting.length === 0 || isSelected(this.selecting, rawHeaders);
  }

  /** In seconds, with fractions. @param time of `clock.ts` */
  ageAt(time: number): number {
    return this.freshness.initialAge + Math.max(0, time - this.storedAt) / 1000;
  }

  isFreshAt(time: number): boolean {
    return this.ageAt(time) < this.freshness.lifetime;
  }

  get hasValidator(): boolean {
    return this.etag !== undefined || this.lastModified !== undefined;
  }

  /** The fields of a hit. */
  hitTextAt(time: number): string {
    const age = Math.floor(this.ageAt(time));
    if (age !== this.#age) {
      this.#age = age;
      const ttl = Math.floor(this.freshness.lifetime - age);
      this.#hitText = `${this.text}age: ${age}\r\ncache-status: mpserve; hit; ttl=${ttl}\r\n`;
    }
    return this.#hitText;
  }

  /** The fields of a 304. */
  get notModifiedText(): string {
    return textOf(this.fields.filter(({ name }) => ofNotModified.has(name)));
  }

  /**
   * The same body with what a 304 says of it (RFC 9111, section 4.3.4).
   * @param head of `mergedHead`. @param freshness of that
   */
  refreshed(head: ResponseHead, freshness: Freshness, storedAt: number, requestedAt: number): StoredResponse {
    const { body, selecting } = this;
    return new StoredResponse({ head, body, freshness, selecting, storedAt, requestedAt });
  }
}

/** These describe the body that is stored. */
const ofBody = new Set(['content-encoding', 'content-length', 'content-md5', 'content-range', 'etag']);

/** A field that is in both is the new one. @param head of a 304 */
export function mergedHead(stored: StoredResponse, head: ResponseHead): ResponseHead {
  const { status, message, fields } = stored;
  const newer = keptFields(head).filter(({ name }) => !ofBody.has(name));
  const names = new Set(newer.map(({ name }) => name));
  const merged = [...fields.filter(({ name }) => !names.has(name)), ...newer];
  return { status, message, fields: merged, text: `HTTP/1.1 ${status} ${message}\r\n${textOf(merged)}\r\n` };
}

function keptFields(head: ResponseHead): readonly Field[] {
  const named = new Set((fieldOf(head, 'connection') ?? '').split(',').map((name) => name.trim().toLowerCase()));
  return head.fields.filter(({ name }) => !dropped.has(name) && !named.has(name));
}

function textOf(fields: readonly Field[]): string {
  return fields.map(({ line }) => `${line}\r\n`).join('');
}

const noTags: readonly string[] = [];

/** Surrogate-Key has spaces between tags, Cache-Tag commas. */
function tagsOf(head: ResponseHead): readonly string[] {
  const keys = fieldOf(head, 'surrogate-key')?.split(/[\s,]+/) ?? [];
  const tags = fieldOf(head, 'cache-tag')?.split(/\s*,\s*/) ?? [];
  if (keys.length === 0 && tags.length === 0) return noTags;
  return [...new Set([...keys, ...tags])].filter((tag) => tag !== '').slice(0, maxTags);
}

/** A response with more of them is purged with the rest only by those before. */
const maxTags = 256;

/** @param pieces of a body, each a copy of its own */
export function joinBody(pieces: readonly Buffer[], bytes: number): Body {
  const [first] = pieces;
  if (bytes <= maxTextBody)
    return (pieces.length === 1 && first ? first : Buffer.concat(pieces, bytes)).toString('latin1');
  if (pieces.length === 1 && first && first.buffer.byteLength === bytes) return first;
  // Not from the pool of Node, of which a small piece would keep 8 KiB.
  const body = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const piece of pieces) at += piece.copy(body, at);
  return body;
}
