// Which paths a route has. Patterns are those of find-my-way without regular expressions, so that it can be said which of
// them never match.
import FindMyWay from 'find-my-way';

/** @param match `/pdf/*`, `/users/:id`, or `*` for every path. @throws Error for what is no pattern */
export function matcher(match: string): (path: string) => boolean {
  if (match === '*') return () => true;
  const router = FindMyWay();
  router.on('GET', match, () => {});
  return (path) => router.find('GET', path) !== null;
}
