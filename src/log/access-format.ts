// The format of access lines: JSON, or a template whose variables are replaced. It is compiled once for each process.
import { readTemplate, templates } from '../config/access-template.js';
import type { AccessEntry, AccessFormat } from './access-entry.js';
import { jsonFormat } from './access-line.js';
import { headerVariable, type Shown, type Variable, variables } from './access-variables.js';
import { redaction } from './redact.js';

/**
 * @param format `json`, a name of `templates`, or a template
 * @param hidden names whose values are redacted
 * @param atomicBytes the longest line: a text from a client is cut at a quarter of it. JSON lines are shortened where they
 * are written, as they stay JSON there
 */
export function accessFormat(format: string, hidden: readonly string[], atomicBytes: number): AccessFormat {
  const redact = redaction(hidden);
  if (format === 'json') return jsonFormat(redact);
  const maxText = atomicBytes >> 2;
  const shown: Shown = {
    text: (text) => escaped(text, maxText),
    url: (url) => escaped(redact.text(url), maxText),
    header: (name, value) => escaped(redact.header(name, value), maxText),
  };
  /** Each with the text in front of it. */
  const fields: { readonly before: string; readonly value: (entry: AccessEntry) => string }[] = [];
  let text = '';
  for (const part of readTemplate(templates[format] ?? format)) {
    if ('unknown' in part) throw new Error(`the template has the unknown variable ${part.unknown}`);
    if ('text' in part) text += part.text;
    else {
      const { of } = 'header' in part ? headerVariable(part.header) : variables[part.variable];
      fields.push({ before: text, value: textOf(of, shown) });
      text = '';
    }
  }
  const end = `${text}\n`;
  return (entry) => {
    let line = '';
    for (const { before, value } of fields) line += before + value(entry);
    return line + end;
  };
}

function textOf(of: Variable, shown: Shown): (entry: AccessEntry) => string {
  return (entry) => {
    const value = of(entry, shown);
    return value === undefined || value === null || value === '' ? '-' : `${value}`;
  };
}

const plainText = /^[ !#-[\]-~]*$/;

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
  if (plainText.test(text)) return text.length > maxText ? text.slice(0, maxText) : text;
  let all = '';
  for (const character of text) {
    const shown = printable(character) ? character : (escapes[character] ?? inHex(character));
    if (all.length + shown.length > maxText) break;
    all += shown;
  }
  return all;
}

function printable(character: string): boolean {
  return plainText.test(character);
}

function inHex(character: string): string {
  const bytes = Buffer.from(character, character <= '\xff' ? 'latin1' : 'utf8');
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
