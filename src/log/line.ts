// Shortens log lines that are too long for an atomic write. A write to a pipe is atomic only up to PIPE_BUF bytes
// (pipe(7)): the lines of other workers could be interleaved with a longer line.

/** PIPE_BUF on Linux. POSIX guarantees 512; macOS has 512, but in practice writes of up to 16 KiB are atomic there. */
export const pipeAtomicBytes = 4096;

/** How much shorter strings and lists become with each try. */
const shrinkFactor = 0.875;
/** Of lists, as many elements as a string of that many times the characters would keep. */
const charactersPerElement = 32;

/**
 * Shortens a line to at most `maxBytes`, including its newline. Of JSON cuts the longest strings and lists, and keeps the
 * others; a shortened line has `"truncated":true`. Another line loses its end.
 * @param maxBytes at least 512
 */
export function fitLine(line: string, maxBytes: number): string {
  if (line.length * 3 <= maxBytes || Buffer.byteLength(line) <= maxBytes) return line;
  const fields = parse(line);
  if (fields === undefined)
    return `${Buffer.from(line)
      .subarray(0, maxBytes - 1)
      .toString()
      .replace(/\ufffd$/, '')}\n`;
  const record = { ...fields, truncated: true };
  for (let max = maxBytes; max >= 1; max *= shrinkFactor) {
    const text = `${JSON.stringify(record, (_, value) => shortened(value, max))}\n`;
    if (Buffer.byteLength(text) <= maxBytes) return text;
  }
  return '{"truncated":true}\n'; // the names of the fields alone are too long
}

function parse(line: string): object | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // a template makes what it likes
  }
}

function shortened(value: unknown, maxCharacters: number): unknown {
  if (typeof value === 'string') return value.slice(0, maxCharacters);
  return Array.isArray(value) ? value.slice(0, Math.ceil(maxCharacters / charactersPerElement)) : value;
}
