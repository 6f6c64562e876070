// HTML templates that escape every value except the results of `html` and `json` themselves. The escaping is for text
// and double-quoted attributes; `json` is for data in a script element.

export class Html {
  constructor(readonly text: string) {}
}

/** undefined renders as nothing. */
export type Part = string | number | Html | undefined | readonly Part[];

export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, i) => text + write(parts[i])).join(''));
}

/** For the content of `<script type="application/json">`: the JSON cannot end the element. */
export function json(value: unknown): Html {
  return new Html(JSON.stringify(value).replaceAll('<', '\\u003c'));
}

function write(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  return typeof part === 'object' ? part.map(write).join('') : escaped(String(part));
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
