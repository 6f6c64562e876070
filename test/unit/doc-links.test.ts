// The pages of the project: each of their links leads somewhere, and docs/README.md leads to each page of docs/.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../helpers/server.ts';

const below = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => path.join(folder, name));
const isPage = (name: string): boolean => name.endsWith('.md');

const map = 'docs/README.md';
const docs = below('docs').filter(isPage);
const pages = [...readdirSync(root).filter(isPage), ...docs];

interface Link {
  readonly target: string;
  /** Of a file or folder of the project; undefined where the link leads to the web. */
  readonly file: string | undefined;
  readonly anchor: string | undefined;
}

test('each link of a page leads to a file that is there, and to a heading in it', () => {
  const broken = pages.flatMap((page) =>
    linksOf(page)
      .filter((link) => !isThere(link))
      .map(({ target }) => `${page}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test('the map leads to each page of docs', () => {
  const linked = linksOf(map).map(({ file }) => file);
  const isLinked = (page: string): boolean =>
    linked.includes(page) || (page.startsWith('docs/decisions/') && linked.includes('docs/decisions'));
  expect(docs.filter((page) => page !== map && !isLinked(page))).toEqual([]);
});

function isThere({ file, anchor }: Link): boolean {
  if (file === undefined) return true;
  if (!existsSync(path.join(root, file))) return false;
  return anchor === undefined || anchorsOf(file).includes(anchor);
}

function linksOf(page: string): readonly Link[] {
  const targets = [...prose(page).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = '']) => target);
  return targets.map((target) => {
    if (/^[a-z]+:/.test(target)) return { target, file: undefined, anchor: undefined };
    const [name = '', anchor] = target.split('#');
    const file = name === '' ? page : path.join(path.dirname(page), name).replace(/\/$/, '');
    return { target, file, anchor };
  });
}

/** As GitHub makes them from the headings of a page. */
function anchorsOf(page: string): readonly string[] {
  const seen = new Map<string, number>();
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

/** Without code, in which there are neither links nor headings. */
function prose(page: string): string {
  const text = readFileSync(path.join(root, page), 'utf8');
  return text.replace(/^\s*```[\s\S]*?^\s*```$/gm, '').replace(/`[^`\n]+`\]/g, ']');
}
