// The format of access lines: JSON, or a template whose variables are replaced. It is compiled once for each process.
import { readTemplate, templates } from '../config/access-template.js';
import type { AccessFormat } from './access-entry.js';
import { jsonFormat } from './access-line.js';
import { headerVariable, type Variable, type VariableField, variables } from './access-variables.js';
import { type Escape, LineBytes } from './line-bytes.js';
import { type Redaction, redaction } from './redact.js';

/**
 * @param format `json`, a name of `templates`, or a template
 * @param hidden names whose values are redacted
 * @param atomicBytes the longest line: a text from a client is cut at a quarter of it. JSON lines are shortened where they
 * are written, as they stay JSON there
 */
export function accessFormat(format: string, hidden: readonly string[], atomicBytes: number): AccessFormat {
  const redact = redaction(hidden);
  if (format === 'json') return jsonFormat(redact);
  const field = new Field(redact, atomicBytes >> 2);
  /** The variables, each with the text in front of it. */
  const parts: { readonly before: string; readonly write: Variable }[] = [];
  let text = '';
  for (const part of readTemplate(templates[format] ?? format)) {
    if ('unknown' in part) throw new Error(`the template has the unknown variable ${part.unknown}`);
    if ('text' in part) text += part.text;
    else {
      const { write } = 'header' in part ? headerVariable(part.header) : variables[part.variable];
      parts.push({ before: text, write });
      text = '';
    }
  }
  const end = `${text}\n`;
  return (entry, line) => {
    field.line = line;
    for (const { before, write } of parts) {
      line.text(before);
      write(entry, field);
    }
    line.text(end);
  };
}

/** What is written for a variable. */
class Field implements VariableField {
  /** The line that is being written. */
  line = new LineBytes(0);
  readonly redact: Redaction;
  readonly #maxText: number;
  readonly #escape: Escape;

  constructor(redact: Redaction, maxText: number) {
    this.redact = redact;
    this.#maxText = maxText;
    this.#escape = (text) => escaped(text, maxText);
  }

  own(value: string | number | undefined | null): void {
    this.line.text(value === undefined || value === null || value === '' ? '-' : `${value}`);
  }

  foreign(text: string | undefined): void {
    if (text === undefined || text === '') this.line.text('-');
    else if (text.length > this.#maxText) this.line.text(this.#escape(text));
    else this.line.escaped(text, this.#escape);
  }
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** As Apache does: what is not printable ASCII becomes `\xhh` for each byte. Node reads a byte of a head as a character. */
function escaped(text: string, maxText: number): string {
  let all = '';
  for (const character of text) {
    const shown = printable(character) ? character : (escapes[character] ?? inHex(character));
    if (all.length + shown.length > maxText) break;
    all += shown;
  }
  return all;
}

function printable(character: string): boolean {
  return /^[ !#-[\]-~]$/.test(character);
}

function inHex(character: string): string {
  const bytes = Buffer.from(character, character <= '\xff' ? 'latin1' : 'utf8');
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
