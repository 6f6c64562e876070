// The files of the dashboard. They tell nothing of this server, and ask nothing of any other.
import { readFileSync } from 'node:fs';
import type { Page } from './pages.js';

const files = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/dashboard.js': ['dashboard.js', 'text/javascript; charset=utf-8'],
  '/dashboard.css': ['dashboard.css', 'text/css; charset=utf-8'],
} as const;

export type Site = ReadonlyMap<string, Page>;

/** At the start: another version may be installed in their place while this one runs. */
export function readSite(): Site {
  return new Map(
    Object.entries(files).map(([path, [name, type]]) => {
      const content = readFileSync(new URL(`../admin/page/${name}`, import.meta.url), 'utf8');
      return [path, { status: 200, type, content }];
    }),
  );
}
