// The fingerprint by which a repeated request is recognised: its method, its URL with the query, and a digest of its body.

/** `POST /orders 9f86d081884c7d65…`. */
export type Fingerprint = string;

/** Characters of the URL that count. They fit into a slot of the journal together with the rest. */
const maxUrlLength = 320;
/** Bytes of the body that count. */
export const maxBodyBytes = 65_536;

/** Bytes of the SHA-256 that are kept: enough that a client cannot construct another body with the same ones. */
export const digestBytes = 16;

/** Hexadecimal. @param body at most `maxBodyBytes` */
export function digestOf(body: Uint8Array): string {
  // Loaded here: that takes 1.5 to 3 ms, and most workers never need it.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(body).digest().toString('hex', 0, digestBytes);
}

/** `unknown`: the body had not arrived yet. */
export type BodyDigest = 'none' | 'unknown' | (string & {});

/** The fingerprint without the body. */
export function requestLine(method: string, url: string): string {
  return `${method} ${truncateUrl(url)}`;
}

export function truncateUrl(url: string): string {
  return url.length > maxUrlLength ? url.slice(0, maxUrlLength) : url;
}

export function fingerprintOf(line: string, body: BodyDigest): Fingerprint {
  return `${line} ${body}`;
}
