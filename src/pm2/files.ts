// The text of the files that `mpserve import` writes: a configuration file, and a file of variables for --env-file.
import { inspect, parseEnv } from 'node:util';
import type { Written } from '../config/kind.js';

/** @param notes what has no counterpart, as comments */
export function configText(
  origin: string,
  settings: Readonly<Record<string, Written>>,
  notes: readonly string[],
): string {
  const entries = Object.entries(settings).map(
    ([key, value]) => `  ${key}: ${inspect(value, { breakLength: Number.POSITIVE_INFINITY })},`,
  );
  return [
    `// Made from ${oneLine(origin)} by \`mpserve import\`. All options: npx mpserve --help`,
    ...(notes.length > 0 ? ['//', '// Without a counterpart:'] : []),
    ...notes.map((note) => `// - ${oneLine(note)}`),
    '',
    "/** @type {import('mpserve').UserConfig} */",
    'export default {',
    ...entries,
    '};',
    '',
  ].join('\n');
}

/** @returns `unwritable`: the names of variables whose value no quotes can hold */
export function envText(variables: Readonly<Record<string, string>>): {
  readonly text: string;
  readonly unwritable: readonly string[];
} {
  const lines: string[] = [];
  const unwritable: string[] = [];
  for (const [name, value] of Object.entries(variables)) {
    const line = ['', "'", '"', '`']
      .map((quote) => `${name}=${quote}${value}${quote}\n`)
      .find((line) => readsAs(line, name, value));
    if (line === undefined) unwritable.push(name);
    else lines.push(line);
  }
  return { text: lines.join(''), unwritable };
}

/** Whether node reads this value from the line, and goes on at the next one. */
function readsAs(line: string, name: string, value: string): boolean {
  const read = parseEnv(`${line}NEXT_LINE=1\n`);
  return read[name] === value && read.NEXT_LINE === '1' && Object.keys(read).length === 2;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}
