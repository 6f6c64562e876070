// The head of a response as Node has written it: whichever way the app has set headers, this is what its client gets, and
// Node has checked it.

/** A field as it was sent, and its name in lower case. */
export interface Field {
  readonly name: string;
  readonly line: string;
  readonly value: string;
}

export interface ResponseHead {
  readonly status: number;
  /** The reason phrase. */
  readonly message: string;
  readonly fields: readonly Field[];
  /** Of which the fields are parts. */
  readonly text: string;
}

/** @param text the status line and the fields, each with CR LF */
export function readHead(text: string, status: number, message: string): ResponseHead {
  const fields: Field[] = [];
  let start = text.indexOf('\r\n') + 2;
  while (start > 1) {
    const end = text.indexOf('\r\n', start);
    if (end <= start) break; // the empty line
    const colon = text.indexOf(':', start);
    if (colon > start && colon < end) {
      const name = text.slice(start, colon).toLowerCase();
      fields.push({ name, line: text.slice(start, end), value: text.slice(colon + 1, end).trim() });
    }
    start = end + 2;
  }
  return { status, message, fields, text };
}

/** All values of a field, as one; undefined if there is none. @param name in lower case */
export function fieldOf({ fields }: ResponseHead, name: string): string | undefined {
  let found: string | undefined;
  for (const field of fields) {
    if (field.name === name) found = found === undefined ? field.value : `${found}, ${field.value}`;
  }
  return found;
}
