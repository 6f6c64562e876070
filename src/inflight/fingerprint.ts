// The fingerprint by which a repeated request is recognised: its method, its whole target, and a digest of its body.

/** `POST /orders 9f86d081884c7d65…`. */
export type Fingerprint = string;

/** Characters of the URL that the log and `mpserve ctl` show. */
const maxShownLength = 320;
/** Of a longer URL there is a digest. A shorter one fits into a slot of the journal as it is, together with the rest. */
const maxTargetLength = 800;
/** Bytes of the body that count. */
export const maxBodyBytes = 65_536;

/** Bytes of the SHA-256 that are kept: enough that a client cannot construct another body with the same ones. */
export const digestBytes = 16;

/** Hexadecimal. */
export function digestOf(bytes: Uint8Array): string {
  // Loaded here: that takes 1.5 to 3 ms, and most workers never need it.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(bytes).digest().toString('hex', 0, digestBytes);
}

/** `unknown`: the body had not arrived yet. */
export type BodyDigest = 'none' | 'unknown' | (string & {});

/** The fingerprint without the body. @param target of `targetOf` */
export function requestLine(method: string, target: string): string {
  return `${method} ${target}`;
}

/**
 * The URL itself, or its beginning and a digest of it all, behind a space: no URL has one, so no other URL can have the
 * same target.
 */
export function targetOf(url: string): string {
  if (url.length <= maxTargetLength) return url;
  // In one call, without an object to collect: a third of the time.
  const { hash } = process.getBuiltinModule('node:crypto');
  return `${truncateUrl(url)} ${hash('sha256', url).slice(0, 2 * digestBytes)}`;
}

/** @param url or its target */
export function truncateUrl(url: string): string {
  return url.length > maxShownLength ? url.slice(0, maxShownLength) : url;
}

export function fingerprintOf(line: string, body: BodyDigest): Fingerprint {
  return `${line} ${body}`;
}
