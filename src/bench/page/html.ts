// HTML in which nothing is left unescaped by mistake: whatever goes into `html` is escaped, unless it came out of it.
// It knows of elements and their attributes in double quotes; what stands in a script goes through `json`.

export class Html {
  constructor(readonly text: string) {}
}

/** Nothing is written for what is absent. */
export type Part = string | number | Html | undefined | readonly Part[];

export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, i) => text + write(parts[i])).join(''));
}

/** For the text of a `<script type="application/json">`, which it cannot end. */
export function json(value: unknown): Html {
  return new Html(JSON.stringify(value).replaceAll('<', '\\u003c'));
}

function write(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  return typeof part === 'object' ? part.map(write).join('') : escaped(String(part));
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
