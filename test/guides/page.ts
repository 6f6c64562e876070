// A page of docs/ as its readers try it: the files that it has them write, the commands, and what these print. The marks are
// in the info strings of its code blocks (CONTRIBUTING.md). Runs nothing.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../helpers/server.ts';

export interface Step {
  /** Of the page, where the block begins. */
  readonly line: number;
  readonly text: string;
  /** `file`: text is written to `path`. `try`: text is a command that ends. `serve`: one that goes on. */
  readonly kind: 'file' | 'try' | 'serve';
  readonly path?: string;
  /** Lines that the command must print, in this order; `…` in them is any text. */
  readonly shows: readonly string[];
}

export interface Page {
  /** As `docs/deploy/nginx.md`. */
  readonly name: string;
  /** Programs without which it cannot be tried. */
  readonly needs: readonly string[];
  readonly steps: readonly Step[];
}

/** @throws where a mark is wrong, naming the line */
export function readPage(name: string): Page {
  const text = readFileSync(path.join(root, name), 'utf8');
  const needs = /^<!-- try needs (.+) -->$/m.exec(text)?.[1] ?? '';
  const steps: Step[] = [];
  for (const { line, info, body } of blocksOf(text)) {
    const [, ...marks] = info.split(/\s+/);
    const fail = (why: string): never => {
      throw new Error(`${name}:${line}: ${why}`);
    };
    for (const mark of marks) {
      const [kind, value] = mark.split('=');
      const last = steps.at(-1);
      if (kind === 'file' && value) steps.push({ line, text: body, kind, path: value, shows: [] });
      else if (kind === 'try' || kind === 'serve') steps.push({ line, text: body, kind, shows: [] });
      else if (kind !== 'shows') fail(`'${mark}' is none of file=PATH, try, serve and shows`);
      else if (!last || last.kind === 'file') fail('there is no command before it');
      else steps[steps.length - 1] = { ...last, shows: body.trimEnd().split('\n') };
    }
  }
  return { name, needs: needs.split(' ').filter(Boolean), steps };
}

/** The file that the page has its readers write at `file`. */
export function fileOf(name: string, file: string): string {
  const found = readPage(name).steps.find((step) => step.path === file);
  if (!found) throw new Error(`${name} has no block with file=${file}`);
  return found.text;
}

/** The first of `lines` that `output` does not have after those before it. */
export function missingLine(output: string, lines: readonly string[]): string | undefined {
  let rest = output.split('\n');
  return lines.find((line) => {
    const wanted = new RegExp(`^${line.split('…').map(escaped).join('.*')}$`);
    const at = rest.findIndex((one) => wanted.test(one.trimEnd()));
    rest = rest.slice(at + 1);
    return at < 0;
  });
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

interface Block {
  readonly line: number;
  readonly info: string;
  readonly body: string;
}

function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { line: number; indent: string; info: string; body: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, indent = '', info] = /^(\s*)```(.*)$/.exec(line) ?? [];
    if (open && info === undefined) open.body.push(line.slice(open.indent.length));
    else if (open) {
      blocks.push({ line: open.line, info: open.info, body: `${open.body.join('\n')}\n` });
      open = undefined;
    } else if (info !== undefined) open = { line: index + 1, indent, info, body: [] };
  }
  return blocks;
}
