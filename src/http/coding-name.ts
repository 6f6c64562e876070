// The names of the content codings that the server can make (RFC 9110, section 8.4.1). Apart from `coding`, as the
// configuration reads them as well.

export type Coding = 'br' | 'zstd' | 'gzip';

/** The best first, for clients that have no preference. */
export const codings: readonly Coding[] = ['br', 'zstd', 'gzip'];

/** Those that this Node can make: Zstandard from 22.15 and 23.8 on. */
export const madeCodings: readonly Coding[] = codings.filter(
  (coding) => coding !== 'zstd' || process.versions.zstd !== undefined,
);
