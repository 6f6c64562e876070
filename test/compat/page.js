// docs/compatibility.md: replaces what a script has measured, between `<!-- NAME -->` and `<!-- /NAME -->`, and keeps
// the rest of the page and the results of other rows, models and versions of Node.
import { readFileSync, writeFileSync } from 'node:fs';

export const models = ['prefork', 'prethread', 'hybrid', 'tpc', 'ppc'];

const file = new URL('../../docs/compatibility.md', import.meta.url);
const major = process.versions.node.split('.')[0];
const head = ['feature', 'version', 'date', ...models, 'why not'];

function readSection(name) {
  return readFileSync(file, 'utf8').split(`<!-- ${name} -->\n`)[1]?.split(`<!-- /${name} -->`)[0] ?? '';
}

/** The page must have the section's two comments. */
export function writeSection(name, text) {
  const page = readFileSync(file, 'utf8');
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const from = page.indexOf(start);
  const to = page.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`docs/compatibility.md has no section ${name}`);
  writeFileSync(file, `${page.slice(0, from + start.length)}\n${text}\n\n${page.slice(to)}`);
}

/** The results of this run for the Node that runs. */
export class CompatibilityPage {
  #rows;
  /** By the title of the row: its version, the results by model, and the reasons. */
  #results = new Map();

  constructor(rows) {
    this.#rows = rows;
  }

  /** @param why undefined unless the result says that it does not work */
  set({ title }, version, model, result, why) {
    const { results, reasons } = this.#results.get(title) ?? { results: {}, reasons: new Set() };
    if (why !== undefined) reasons.add(why.replaceAll('|', '\\|'));
    this.#results.set(title, { version, results: { ...results, [model]: result }, reasons });
  }

  write() {
    const tried = this.#rows.map(({ title, tried, name }) => [title, tried, `\`${name}\``]);
    writeSection('tried', table([['feature', 'what was tried', 'row'], ...tried]));
    // Read now, because another run may have written meanwhile.
    const lines = new Map(readTable(`node ${major}`).map(([title, ...rest]) => [title, rest]));
    for (const [title, { version, results, reasons }] of this.#results) {
      const [, , ...before] = lines.get(title) ?? ['', '', ...models.map(() => 'not run'), ''];
      const cells = models.map((model, i) => results[model] ?? before[i]);
      if (models.some((model, i) => results[model] === undefined && before[i] === 'no')) reasons.add(before.at(-1));
      lines.set(title, [version, today(), ...cells, [...reasons].join('; ')]);
    }
    const inOrder = this.#rows.filter(({ title }) => lines.has(title)).map(({ title }) => [title, ...lines.get(title)]);
    writeSection(`node ${major}`, `Node ${process.versions.node}:\n\n${table([head, ...inOrder])}`);
  }
}

/** The cells of the lines of a section's table. */
function readTable(section) {
  const lines = readSection(section)
    .split('\n')
    .filter((line) => line.startsWith('| '));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

export function table([head, ...lines]) {
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function today() {
  return new Date().toISOString().slice(0, 10);
}
