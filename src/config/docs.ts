// The reference page of the options, docs/options.md, as a function of the option table. Writes no file.

import { oneOf } from './kind.js';
import type { ModelFacts } from './model.js';
import { defaultWords, type Group, type Option } from './options.js';

const columns = ['Flag', 'Variable', 'Key', 'Values', 'Default', 'What it does'];

/** Markdown; the same for the same table. */
export function optionsPage(options: readonly Option[], models: readonly ModelFacts[]): string {
  const groups = [...new Set(options.map((option) => option.group))];
  const sections = groups.map((group) => section(group, options, models));
  return `${opening(models)}\n${sections.join('\n')}`;
}

function opening(models: readonly ModelFacts[]): string {
  return `# Options

<!-- Generated from src/config/options.ts by "npm run docs". Change that file, not this page. -->

Every option is a flag, an environment variable and a key of \`mpserve.config.{js,mjs,cjs,json}\`. A flag wins over the
variable, the variable over the file, the file over the default; \`mpserve config\` prints each value and where it came
from. A time is \`500ms\`, \`20s\`, \`5m\` or \`1h\`, and a bare number is seconds. A size is \`16k\`, \`64M\` or \`1G\`, in powers
of 1024, and a bare number is bytes. A repeatable flag is a list in the file, and separated by white space in the
variable. A switch is turned off with \`--no-\` before its name. Relative paths start at the current directory, those in
the file at the directory of the file.

${tableOf(
  ['Model', 'What it is'],
  models.map(({ name, summary }) => [`\`${name}\``, summary]),
)}`;
}

function section(group: Group, options: readonly Option[], models: readonly ModelFacts[]): string {
  const rows = options
    .filter((option) => option.group === group)
    .map((option) => [
      option.positional ? `argument \`${option.kind.metavar}\`` : `\`--${option.flag}\``,
      `\`${option.env}\``,
      option.inFile === false ? 'none' : `\`${option.key}\``,
      allowed(option),
      defaultWords(option),
      `${option.description}${idleWords(option, models)}`,
    ]);
  return `## ${group}\n\n${tableOf(columns, rows)}`;
}

function allowed({ kind }: Option): string {
  if (kind.choices) return kind.choices.join(', ');
  return kind.range ?? (kind.metavar || 'true, false');
}

function idleWords(option: Option, models: readonly ModelFacts[]): string {
  const idle = models.filter((facts) => option.idle?.(facts, undefined) !== undefined).map((facts) => facts.name);
  return idle.length > 0 ? `. Does nothing in ${oneOf(idle, 'and')}` : '';
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return `${lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`;
}
