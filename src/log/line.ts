// Shortens log lines that are too long for an atomic write. A write to a pipe is atomic only up to PIPE_BUF bytes
// (pipe(7)): the lines of other workers could be interleaved with a longer line.

/** PIPE_BUF on Linux. POSIX guarantees 512; macOS has 512, but in practice writes of up to 16 KiB are atomic there. */
export const pipeAtomicBytes = 4096;

/**
 * Shortens a JSON line to at most `maxBytes`, including its newline: drops the second half of long lists, then cuts the
 * longest strings. A shortened line has `"truncated":true`.
 * @param maxBytes at least 512
 */
export function fitLine(line: string, maxBytes: number): string {
  if (line.length * 3 <= maxBytes || Buffer.byteLength(line) <= maxBytes) return line;
  const record = { ...(JSON.parse(line) as Record<string, unknown>), truncated: true };
  for (let text = line; ; ) {
    text = `${JSON.stringify(record)}\n`;
    const excess = Buffer.byteLength(text) - maxBytes;
    if (excess <= 0) return text;
    // If nothing can be shortened, the names of the fields alone are too long.
    if (!halveLongest(record, maxBytes / 2) && !cutLongest(record, excess)) return '{"truncated":true}\n';
  }
}

/** Drops the second half of the longest list, if that has more than `minLength` characters of JSON. */
function halveLongest(record: Record<string, unknown>, minLength: number): boolean {
  const lists = Object.values(record).filter((value) => Array.isArray(value) && value.length > 1) as unknown[][];
  const [length, list] = lists
    .map((list) => [JSON.stringify(list).length, list] as const)
    .reduce((a, b) => (b[0] > a[0] ? b : a), [0, []]);
  if (length <= minLength) return false;
  list.length = Math.ceil(list.length / 2);
  return true;
}

/**
 * Cuts the longest string anywhere in `record` by up to `excess` bytes of JSON, or by half if that is less.
 * @returns false if all strings are empty
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
  // A character takes up to six bytes of JSON (\u0000), so a sixth of the excess is always safe to cut; the caller
  // repeats.
  holder[key] = text.slice(0, Math.max(Math.floor(text.length / 2), text.length - Math.ceil(excess / 6) - 1));
  return true;
}
