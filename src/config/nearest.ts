// "Did you mean …?" for a mistyped name. Loads its library only when it is called.

/** `; did you mean NAME?`, or an empty string if no candidate is similar. Ignores case. */
export async function didYouMean(word: string, candidates: readonly string[], prefix = ''): Promise<string> {
  const { closestMatch } = await import('leven');
  const byLowerCase = new Map(candidates.map((candidate) => [candidate.toLowerCase(), candidate]));
  // Two edits allow for swapped characters; a long word may have three, and a short word only one, or all words would
  // match.
  const maxDistance = word.length < 4 ? 1 : word.length < 9 ? 2 : 3;
  const match = closestMatch(word.toLowerCase(), [...byLowerCase.keys()], { maxDistance });
  return match === undefined ? '' : `; did you mean ${prefix}${byLowerCase.get(match)}?`;
}
