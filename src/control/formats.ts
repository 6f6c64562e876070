// The formats in which a query is answered: JSON, or text for people if its query string says `format=text`.
import { jsonPage, type Page, textPage } from '../admin/pages.js';
import type { Query } from './protocol.js';

/** Those that have a text. */
const withText: readonly Query[] = ['status', 'workers', 'stacks', 'quarantine', 'cache'];

/** @param queryString what follows the question mark; empty if there is none */
export async function formatted(query: Query, result: unknown, queryString: string): Promise<Page> {
  if (queryString === '' || queryString === 'format=json') return jsonPage(result);
  const hasText = withText.includes(query);
  // Loaded when it is asked for: few servers ever are.
  if (queryString === 'format=text' && hasText) return textPage(200, (await import('./text.js')).textOf(query, result));
  const allowed = hasText ? '?format=text and ?format=json' : '?format=json';
  return textPage(400, `/${query} takes no query string but ${allowed}`);
}
