// Lines as bytes, written piece by piece. Of short pieces, a string takes longer: it is put together from twenty of them, which
// are copied once more to be encoded, for each request.

/** Writes text that needs an escape in place of a character. */
export type Escape = (text: string) => string;

/** Longer texts are copied by Node, which takes longer to begin, and less for each character. */
const maxShort = 32;

export class LineBytes {
  readonly bytes: Buffer;
  /** How many of them are written. It exceeds them if what was written last did not fit: that is lost, and counted. */
  used = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Any text, as it is. */
  text(text: string): void {
    const { bytes } = this;
    const { length } = text;
    let at = this.used;
    if (length > maxShort || at + length > bytes.length) return void this.#utf8(text);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return void this.#utf8(text);
      bytes[at++] = code;
    }
    this.used = at;
  }

  /** Text from a client: printable ASCII without `"` and `\` as it is, any other through `otherwise`. */
  escaped(text: string, otherwise: Escape): void {
    const { bytes } = this;
    const { length } = text;
    let at = this.used;
    if (at + length > bytes.length) return void this.text(otherwise(text));
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return void this.text(otherwise(text));
      bytes[at++] = code;
    }
    this.used = at;
  }

  #utf8(text: string): void {
    const { bytes, used } = this;
    // A character takes at most three bytes.
    const isSure = used + 3 * text.length <= bytes.length;
    if (!isSure && used + Buffer.byteLength(text) > bytes.length) this.used += Buffer.byteLength(text);
    else this.used += bytes.write(text, used);
  }
}

/** @returns what `format` writes for `entry` */
export function textOf<Entry>(format: (entry: Entry, line: LineBytes) => void, entry: Entry): string {
  for (let size = 4096; ; ) {
    const line = new LineBytes(size);
    format(entry, line);
    if (line.used <= size) return line.bytes.toString('utf8', 0, line.used);
    size = line.used;
  }
}
