// The page that lists a directory (--listing). Names come from the disk, and are escaped.
import { type Dirent, promises } from 'node:fs';
import type { Root } from './root.js';
import { encodePath, isHidden } from './target.js';

/** A page has at most this many names. */
const maxNames = 10_000;

/** Nothing on the page may run or load, whatever a file is called. */
export const listingHeaders = [
  ['content-type', 'text/html; charset=utf-8'],
  ['cache-control', 'no-cache'],
  ['content-security-policy', "default-src 'none'; style-src 'unsafe-inline'"],
] as const;

/**
 * @param name of the directory in the root, with a slash at its end. @param shown its path on the server
 * @returns undefined if it cannot be read, or is outside of the root
 */
export async function listing(root: Root, name: string, shown: string): Promise<string | undefined> {
  if (!(await root.contains(name))) return undefined;
  const found: { readonly name: string; readonly isDirectory: boolean }[] = [];
  let isCut = false;
  try {
    for await (const one of await promises.opendir(root.pathOf(name))) {
      if (found.length === maxNames) {
        isCut = true;
        break;
      }
      if (await isServed(root, name, one))
        found.push({ name: one.name, isDirectory: await isDirectory(root, name, one) });
    }
  } catch {
    return undefined;
  }
  found.sort((a, b) => Number(b.isDirectory) - Number(a.isDirectory) || a.name.localeCompare(b.name, 'en'));
  const links = found.map((one) => {
    const slash = one.isDirectory ? '/' : '';
    return `<li><a href="./${encodePath(one.name)}${slash}">${escapeHtml(one.name)}${slash}</a></li>`;
  });
  const title = escapeHtml(shown);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:1rem/1.6 system-ui,sans-serif;margin:2rem}ul{list-style:none;padding:0}</style>
</head>
<body>
<h1>${title}</h1>
<ul>
${[...(name === '/' ? [] : ['<li><a href="../">../</a></li>']), ...links].join('\n')}
</ul>${isCut ? `\n<p>Only ${maxNames} names are shown.</p>` : ''}
</body>
</html>
`;
}

async function isServed(root: Root, parent: string, entry: Dirent): Promise<boolean> {
  if (isHidden(entry.name, parent === '/') || entry.name.includes('\\')) return false;
  if (entry.isFile() || entry.isDirectory()) return true;
  return entry.isSymbolicLink() && root.contains(parent + entry.name);
}

async function isDirectory(root: Root, parent: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const stat = await promises.stat(root.pathOf(parent + entry.name)).catch(() => undefined);
  return stat?.isDirectory() ?? false;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  const visible = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\ufffd');
  return visible.replace(/[&<>"']/g, (character) => entities[character] as string);
}
