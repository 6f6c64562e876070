// The fields of the hash that a key has in Redis: a response for each combination of selecting headers (Vary). The name of a
// field says which headers those are, so that a request finds its own ones without the others.
import { createHash } from 'node:crypto';
import { type Selecting, selectingOf } from '../selecting.js';

/** Of a response without Vary. */
export const plainField = '=';
/** The slots of the tags of the last response that was stored (`purges`): what a request is likely to need. */
export const tagsField = '#';

const maxFieldLength = 1024;

/** @returns undefined if its name would be too long */
export function fieldOf(selecting: Selecting): string | undefined {
  if (selecting.length === 0) return plainField;
  const names = selecting.map(([name]) => name).join(',');
  const values = JSON.stringify(selecting.map(([, value]) => value ?? null));
  const field = `${names}=${digest(values)}`;
  return field.length > maxFieldLength ? undefined : field;
}

/** Those of the fields that may have a response to a request, without the plain one. */
export function fieldsFor(fields: readonly string[], rawHeaders: readonly string[]): readonly string[] {
  const all = new Set(fields);
  const names = new Set(fields.map((field) => field.slice(0, Math.max(0, field.lastIndexOf('=')))));
  names.delete('');
  const wanted: string[] = [];
  for (const vary of names) {
    const selecting = selectingOf(vary, rawHeaders);
    const field = selecting && fieldOf(selecting);
    if (field !== undefined && all.has(field)) wanted.push(field);
  }
  return wanted;
}

/** Of texts of any length. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
