// "Did you mean …?" for a mistyped name. Loaded with its library only when something was mistyped.

/** `; did you mean NAME?`, or nothing when no candidate is near. Case does not count. */
export async function didYouMean(word: string, candidates: readonly string[], prefix = ''): Promise<string> {
  const { closestMatch } = await import('leven');
  const spelled = new Map(candidates.map((candidate) => [candidate.toLowerCase(), candidate]));
  // Two for letters that changed places; more in a long word, fewer in one so short that anything would be near it.
  const maxDistance = word.length < 4 ? 1 : word.length < 9 ? 2 : 3;
  const match = closestMatch(word.toLowerCase(), [...spelled.keys()], { maxDistance });
  return match === undefined ? '' : `; did you mean ${prefix}${spelled.get(match)}?`;
}
