// Renders the option table as the reference page docs/options.md. Writes no file.

import { oneOf } from './kind.js';
import type { ModelFacts } from './model.js';
import { defaultWords, type Option } from './options.js';

const columns = ['Flag', 'Variable', 'Key', 'Values', 'Default', 'Description'];

/** The page as Markdown. */
export function optionsPage(options: readonly Option[], models: readonly ModelFacts[]): string {
  const groups = [...new Set(options.map((option) => option.group))];
  const sections = groups.map((group) => section(group, options, models));
  return `${introduction(models)}\n${sections.join('\n')}`;
}

function introduction(models: readonly ModelFacts[]): string {
  return `# Options

<!-- Generated from src/config/options.ts by "npm run docs". Change that file, not this page. -->

Each option can be set with a flag, an environment variable or a key in \`mpserve.config.{js,mjs,cjs,json}\`. Precedence,
highest first: flag, variable, file, default. \`mpserve config\` prints each value and its source.

- A time is \`500ms\`, \`20s\`, \`5m\` or \`1h\`; a bare number is seconds.
- A size is \`16k\`, \`64M\` or \`1G\`, in powers of 1024; a bare number is bytes.
- A repeatable option is a list in the file, and separated by white space in the variable.
- \`--no-\` before the name of a switch turns it off.
- A relative path is resolved against the current directory; in the file, against the directory of the file.

${tableOf(
  ['Model', 'Description'],
  models.map(({ name, summary }) => [`\`${name}\``, summary]),
)}`;
}

function section(group: Option['group'], options: readonly Option[], models: readonly ModelFacts[]): string {
  const rows = options
    .filter((option) => option.group === group)
    .map((option) => [
      option.positional ? `argument \`${option.kind.metavar}\`` : `\`--${option.flag}\``,
      `\`${option.env}\``,
      option.key === 'config' ? 'none' : `\`${option.key}\``,
      allowed(option),
      defaultWords(option),
      `${option.description}${noEffectNote(option, models)}`,
    ]);
  return `## ${group}\n\n${tableOf(columns, rows)}`;
}

function allowed({ kind }: Option): string {
  if (kind.choices) return kind.choices.join(', ');
  return kind.range ?? (kind.metavar || 'true, false');
}

function noEffectNote(option: Option, models: readonly ModelFacts[]): string {
  const names = models.filter((facts) => option.hasEffect && !option.hasEffect(facts)).map((facts) => facts.name);
  return names.length > 0 ? `. Does nothing in ${oneOf(names, 'and')}` : '';
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return `${lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`;
}
