// Which requests a stored response is for (Vary: RFC 9111, section 4.1).
import { headerOf } from './request-facts.js';

/** Of one selecting header: its name in lower case, and its value in the request of the stored response. */
export type Selecting = readonly (readonly [name: string, value: string | undefined])[];

/** One for all: each response in the memory has one. */
const none: Selecting = [];

/** More names than any response needs. */
const maxNames = 32;

/** @returns the headers that select a response; undefined if no other request can get it (`*`, or too many names) */
export function selectingOf(vary: string | undefined, rawHeaders: readonly string[]): Selecting | undefined {
  if (vary === undefined) return none;
  const names = new Set(vary.split(',').map((name) => name.trim().toLowerCase()));
  names.delete('');
  if (names.has('*') || names.size > maxNames) return undefined;
  return [...names].map((name) => [name, comparable(name, headerOf(rawHeaders, name))]);
}

export function isSelected(selecting: Selecting, rawHeaders: readonly string[]): boolean {
  for (const [name, value] of selecting) if (comparable(name, headerOf(rawHeaders, name)) !== value) return false;
  return true;
}

export function sameSelecting(one: Selecting, other: Selecting): boolean {
  return (
    one.length === other.length && one.every(([name, value], i) => other[i]?.[0] === name && other[i][1] === value)
  );
}

/** Lists of which it is known that white space around commas, and case, have no meaning. */
const lists = new Set(['accept', 'accept-encoding', 'accept-language']);

/** Other headers have to be equal byte for byte. */
function comparable(name: string, value: string | undefined): string | undefined {
  if (value === undefined || !lists.has(name)) return value;
  const members = value.split(',').map((member) => member.trim().toLowerCase());
  // An app may take the order of the others for a preference.
  return (name === 'accept-encoding' ? members.sort() : members).join(',');
}
