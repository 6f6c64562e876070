// Checks the routes of a configuration. Loaded only where there are any.
import { configError } from '../errors.js';
import { didYouMean } from './nearest.js';
import type { ConfigKey, Option, OptionTable } from './options.js';
import type { WrittenRoute } from './route-list.js';
import { matcher } from './route-pattern.js';
import { type Source, setting } from './source.js';

/** Sections of which a route has settings of its own: those of its workers and of its queue. */
const sections = ['pool', 'placing', 'scaling', 'recycle', 'overload', 'sessions'];
/** Of other sections. Limits on connections are those of the processes that have them. */
const keys: readonly ConfigKey[] = ['requestDeadline', 'hangTimeout', 'gracefulTimeout', 'nodeArg'];

/** Beside the routes it is a setting of the processes that have the connections alone. */
export function isOfWorkers({ section }: Option): boolean {
  return sections.includes(section);
}

function isOfRoutes(option: Option): boolean {
  return isOfWorkers(option) || keys.includes(option.key as ConfigKey);
}

/** @throws StartupError for a route that is no pattern, that never matches, or has settings that are none of a route */
export async function checkRoutes(routes: readonly WrittenRoute[], from: Source, table: OptionTable): Promise<void> {
  const where = setting(from);
  for (const [i, { match, ...own }] of routes.entries()) {
    checkPattern(match, where);
    const earlier = routes.slice(0, i).find((one) => hasAll(one.match, match));
    if (earlier) {
      const advice = earlier.match === match ? 'give each pattern once' : 'put the more specific one first';
      throw configError(
        `the route ${match} of ${where} never matches: ${earlier.match} before it has all its paths; ${advice}`,
      );
    }
    for (const key of Object.keys(own)) await checkKey(key, match, where, table);
  }
  if (routes.at(-1)?.match !== '*')
    throw configError(`${where} has no route for all other paths: end the list with { match: '*' }`);
}

function checkPattern(match: string, where: string): void {
  if (match === '*') return;
  const refused = (reason: string) => configError(`the route '${match}' of ${where} ${reason}`);
  if (!match.startsWith('/')) throw refused(`must start with /, as in /pdf/*, or be *`);
  if (/[()?#\s]|::/.test(match))
    throw refused('may have :name for a part of the path and * at its end, and nothing else');
  try {
    matcher(match);
  } catch (error) {
    throw refused(`is no pattern: ${(error as Error).message}`);
  }
}

/** Stands for any part of a path: no route names it. */
const anyPart = '~any~';

/** Whether `general` matches all that `match` does. A part with a name is any part, and `*` any rest, also none. */
function hasAll(general: string, match: string): boolean {
  if (general === '*') return true;
  if (match === '*') return false;
  const paths = ['', anyPart, `${anyPart}/${anyPart}`].map((rest) =>
    match.replace(/:[^/]+/g, anyPart).replace('*', rest),
  );
  return paths.every(matcher(general));
}

async function checkKey(key: string, match: string, where: string, table: OptionTable): Promise<void> {
  const options = Object.values(table) as readonly Option[];
  const option = options.find((one) => one.key === key);
  const words = `${key} of the route ${match} of ${where}`;
  if (!option) {
    const hint = await didYouMean(
      key,
      options.filter(isOfRoutes).map((one) => one.key),
    );
    throw configError(`${words} is no option${hint}`);
  }
  if (!isOfRoutes(option)) throw configError(`${words} is the same for all routes: give it beside routes, not in one`);
}
