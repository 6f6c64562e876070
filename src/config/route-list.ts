// `routes`: which requests have workers of their own, and with which settings.
import type { Kind } from './kind.js';

/** As a user writes it: `match`, and settings of its workers by their keys. */
export type WrittenRoute = { readonly match: string } & Readonly<Record<string, unknown>>;

/** A server has fewer kinds of requests than this. */
const maxRoutes = 32;

export const routeList: Kind<readonly WrittenRoute[], string | readonly WrittenRoute[]> = {
  metavar: 'JSON',
  range: `at most ${maxRoutes}`,
  read(raw) {
    const refused = `be a list of routes, as in [{ "match": "/pdf/*", "threads": 2 }, { "match": "*" }]`;
    const list = typeof raw === 'string' ? parsed(raw) : raw;
    if (!Array.isArray(list)) return { refused };
    if (list.length > maxRoutes) return { refused: `have at most ${maxRoutes} routes`, offender: list.length };
    const offender = list.find((route) => typeof route?.match !== 'string');
    return offender === undefined ? { value: list } : { refused, offender };
  },
  write: (value) => value,
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
