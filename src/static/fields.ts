// The header fields of a request that decide what is sent.
import type { IncomingMessage } from 'node:http';

export interface Fields {
  readonly acceptEncoding: string | undefined;
  /** One of those that make a request conditional, or ask for a range, is there. */
  readonly isSpecial: boolean;
}

const special: readonly string[] = [
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
];
const specialLengths = new Set(special.map(({ length }) => length));
const acceptEncoding = 'accept-encoding';

/** Not from `headers`: Node builds that object on first access. */
export function fieldsOf({ rawHeaders }: IncomingMessage): Fields {
  let accepted: string | undefined;
  let isSpecial = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === acceptEncoding.length && name.toLowerCase() === acceptEncoding) {
      const value = rawHeaders[i + 1] as string;
      accepted = accepted === undefined ? value : `${accepted}, ${value}`;
    } else if (specialLengths.has(name.length)) isSpecial ||= special.includes(name.toLowerCase());
  }
  return { acceptEncoding: accepted, isSpecial };
}
