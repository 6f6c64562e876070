// By what a request is known again: its method, its target with the query, and the digest of its body.

/** `POST /orders 9f86d081884c7d65…`. */
export type Fingerprint = string;

/** More of a target is not looked at. It also has to fit into an entry of the box, beside the rest. */
export const longestUrl = 320;
/** More of a body is not looked at (bytes). */
export const longestBody = 65_536;

/** How much of a SHA-256 is kept: enough that another body with the same one cannot be made. */
export const digestBytes = 16;

/** The digest of `body`, of which no more than `longestBody` is given: hexadecimal. */
export function digestOf(body: Uint8Array): string {
  // Loaded here: it takes 1.5 to 3 ms, and most workers never need it.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(body).digest().toString('hex', 0, digestBytes);
}

/** `unknown`: it had not arrived yet. */
export type BodyDigest = 'none' | 'unknown' | (string & {});

/** All but the body. */
export function subjectOf(method: string, url: string): string {
  return `${method} ${shortened(url)}`;
}

/** What is looked at, and shown, of a target. */
export function shortened(url: string): string {
  return url.length > longestUrl ? url.slice(0, longestUrl) : url;
}

export function fingerprintOf(subject: string, body: BodyDigest): Fingerprint {
  return `${subject} ${body}`;
}
