// The progress that `bench`, `advise` and `prove` print on a stderr that is no terminal.

const progressLine = /^\d+ of \d+(?:, \d+ (?:s|min|h) left)? · \S/;

/** @returns the steps, without their numbers, and what else is on stderr */
export function splitProgress(stderr: string): { readonly steps: readonly string[]; readonly rest: string } {
  const lines = stderr.split('\n');
  const steps = lines.filter((line) => progressLine.test(line)).map((line) => line.slice(line.indexOf('·') + 2));
  return { steps, rest: lines.filter((line) => !progressLine.test(line)).join('\n') };
}
