// Whole log lines. A pipe takes a write in one piece only up to PIPE_BUF bytes (pipe(7)), so a longer line could
// be torn by another worker's; such a line is shortened, never split.

/** PIPE_BUF on Linux; POSIX promises 512, and macOS has 512 for pipes but tears none below 16 KiB in practice. */
export const wholeInPipe = 4096;

/**
 * Shortens a line of JSON to at most `most` bytes, its final newline included, by leaving out the later part of its long
 * lists and then cutting its longest strings; a shortened line has `"truncated":true`.
 * @param most bytes, at least 512
 */
export function fitLine(line: string, most: number): string {
  if (line.length * 3 <= most || Buffer.byteLength(line) <= most) return line;
  const record = { ...(JSON.parse(line) as Record<string, unknown>), truncated: true };
  for (let text = line; ; ) {
    text = `${JSON.stringify(record)}\n`;
    const excess = Buffer.byteLength(text) - most;
    if (excess <= 0) return text;
    // At the end nothing is left but the names of too many fields.
    if (!halveLongest(record, most / 2) && !cutLongest(record, excess)) return '{"truncated":true}\n';
  }
}

/** Leaves out the second half of the list that takes most, if it takes more than `most` characters. */
function halveLongest(record: Record<string, unknown>, most: number): boolean {
  const lists = Object.values(record).filter((value) => Array.isArray(value) && value.length > 1) as unknown[][];
  const [length, list] = lists
    .map((one) => [JSON.stringify(one).length, one] as const)
    .reduce((a, b) => (b[0] > a[0] ? b : a), [0, []]);
  if (length <= most) return false;
  list.length = Math.ceil(list.length / 2);
  return true;
}

/**
 * Cuts the longest string anywhere in `record` by `excess` bytes as written, or by half if it is shorter.
 * @returns false when all are empty
 */
function cutLongest(record: Record<string, unknown>, excess: number): boolean {
  let longest = { holder: record, key: '', text: '' };
  const visit = (holder: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(holder)) {
      if (typeof value === 'string' && value.length > longest.text.length) longest = { holder, key, text: value };
      else if (typeof value === 'object' && value !== null) visit(value as Record<string, unknown>);
    }
  };
  visit(record);
  const { holder, key, text } = longest;
  if (text === '') return false;
  // A character is written in up to six bytes (\u0000), so cut a sixth at least and look again.
  holder[key] = text.slice(0, Math.max(Math.floor(text.length / 2), text.length - Math.ceil(excess / 6) - 1));
  return true;
}
