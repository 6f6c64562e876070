// Which content coding a client prefers (RFC 9110, section 12.5.3). For files and for what an app writes.
import Negotiator from 'negotiator';
import { type Coding, codings } from './coding-name.js';

/** Its types are those of an older version. */
interface Preferring {
  encodings(available: readonly string[], options: { readonly preferred: readonly string[] }): readonly string[];
}

/** One list for each order, so that it can be the key of a map. */
const lists = new Map<string, readonly Coding[]>();
const none = listOf([]);

const maxKnown = 100;
const maxKnownLength = 100;

/**
 * @param field the value of Accept-Encoding
 * @returns the codings that the client prefers to none, the best first. If it accepts nothing at all, it gets the plain
 * bytes, as it does from other servers. Equal lists are the same object
 */
export type AcceptedCodings = (field: string | undefined) => readonly Coding[];

/** @param available the best first, for clients that have no preference */
export function acceptedOf(available: readonly Coding[]): AcceptedCodings {
  /** The results for fields that were seen lately: a client sends the same field in each request. */
  const known = new Map<string, readonly Coding[]>();
  return (field) => {
    if (field === undefined || field === '') return none;
    const before = known.get(field);
    if (before) return before;
    const negotiator = new Negotiator({ headers: { 'accept-encoding': field } }) as unknown as Preferring;
    const all = negotiator.encodings([...available, 'identity'], { preferred: available });
    const plain = all.indexOf('identity');
    const accepted = listOf((plain < 0 ? all : all.slice(0, plain)) as readonly Coding[]);
    if (field.length > maxKnownLength) return accepted;
    if (known.size >= maxKnown) known.clear();
    known.set(field, accepted);
    return accepted;
  };
}

/** Of all codings. */
export const acceptedCodings = acceptedOf(codings);

function listOf(list: readonly Coding[]): readonly Coding[] {
  const name = list.join();
  const same = lists.get(name);
  if (same) return same;
  lists.set(name, list);
  return list;
}
