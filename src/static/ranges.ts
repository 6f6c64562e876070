// The header field Range (RFC 9110, section 14.2).

/** Bytes `start` to `end`, without the byte at `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More of them, or overlapping ones that are larger than the file together, are not worth the work: the file is sent. */
const maxRanges = 32;
const spec = /^(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/;

/** @returns undefined if the field is to be ignored; none if no range is in the file, which is a 416 */
export function rangesOf(field: string, size: number): readonly ByteRange[] | undefined {
  const unit = /^bytes=(.*)$/i.exec(field);
  if (!unit) return undefined;
  const specs = (unit[1] as string).split(',').map((one) => one.trim());
  const named = specs.filter((one) => one !== ''); // lists may have empty elements (section 5.6.1.2)
  if (named.length === 0 || named.length > maxRanges) return undefined;
  const ranges: ByteRange[] = [];
  for (const text of named) {
    const parts = spec.exec(text);
    if (!parts) return undefined;
    const [, first, last, suffix] = parts;
    if (last && Number(last) < Number(first)) return undefined;
    const start = suffix === undefined ? Number(first) : Math.max(0, size - Number(suffix));
    const end = last ? Math.min(size, Number(last) + 1) : size;
    if (start < end) ranges.push({ start, end });
  }
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0) > size ? undefined : ranges;
}
