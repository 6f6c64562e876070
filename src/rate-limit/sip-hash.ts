// SipHash-2-4 (https://www.aumasson.jp/siphash/siphash.pdf): a hash with a secret key, so that clients cannot choose names
// that collide in a table. In 32-bit halves, as JavaScript has no fast 64-bit integers: 140 ns for an IP address, where an
// HMAC of node:crypto takes 2 µs, after 1.5 to 3 ms to load the module.

export class SipHash {
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  /** The halves of the state: low and high of v0, v1, v2 and v3. */
  #l0 = 0;
  #h0 = 0;
  #l1 = 0;
  #h1 = 0;
  #l2 = 0;
  #h2 = 0;
  #l3 = 0;
  #h3 = 0;

  /** @param key four words, the lowest first */
  constructor([k0 = 0, k1 = 0, k2 = 0, k3 = 0]: Int32Array) {
    this.#k0 = k0;
    this.#k1 = k1;
    this.#k2 = k2;
    this.#k3 = k3;
  }

  /** The halves of the last hash, as unsigned numbers. */
  get high(): number {
    return (this.#h0 ^ this.#h1 ^ this.#h2 ^ this.#h3) >>> 0;
  }

  get low(): number {
    return (this.#l0 ^ this.#l1 ^ this.#l2 ^ this.#l3) >>> 0;
  }

  /** @param text in Latin-1, as Node reads headers: of other characters only the low byte counts */
  hash(text: string): void {
    this.#l0 = this.#k0 ^ 0x70736575;
    this.#h0 = this.#k1 ^ 0x736f6d65;
    this.#l1 = this.#k2 ^ 0x6e646f6d;
    this.#h1 = this.#k3 ^ 0x646f7261;
    this.#l2 = this.#k0 ^ 0x6e657261;
    this.#h2 = this.#k1 ^ 0x6c796765;
    this.#l3 = this.#k2 ^ 0x79746573;
    this.#h3 = this.#k3 ^ 0x74656462;
    const { length } = text;
    const whole = length - (length % 8);
    for (let i = 0; i < whole; i += 8) this.#compress(bytes(text, i, 4), bytes(text, i + 4, 4));
    const rest = length - whole;
    const last = bytes(text, whole + 4, rest - 4) | (length << 24);
    this.#compress(bytes(text, whole, Math.min(4, rest)), last);
    this.#l2 ^= 0xff;
    for (let i = 0; i < 4; i++) this.#round();
  }

  #compress(low: number, high: number): void {
    this.#l3 ^= low;
    this.#h3 ^= high;
    this.#round();
    this.#round();
    this.#l0 ^= low;
    this.#h0 ^= high;
  }

  #round(): void {
    let [l0, h0, l1, h1] = [this.#l0, this.#h0, this.#l1, this.#h1];
    let [l2, h2, l3, h3] = [this.#l2, this.#h2, this.#l3, this.#h3];
    let high: number;
    // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
    h0 = (h0 + h1 + carry(l0, l1)) | 0;
    l0 = (l0 + l1) | 0;
    high = (h1 << 13) | (l1 >>> 19);
    l1 = ((l1 << 13) | (h1 >>> 19)) ^ l0;
    h1 = high ^ h0;
    [l0, h0] = [h0, l0];
    // v2 += v3; v3 = rotl(v3, 16) ^ v2
    h2 = (h2 + h3 + carry(l2, l3)) | 0;
    l2 = (l2 + l3) | 0;
    high = (h3 << 16) | (l3 >>> 16);
    l3 = ((l3 << 16) | (h3 >>> 16)) ^ l2;
    h3 = high ^ h2;
    // v0 += v3; v3 = rotl(v3, 21) ^ v0
    h0 = (h0 + h3 + carry(l0, l3)) | 0;
    l0 = (l0 + l3) | 0;
    high = (h3 << 21) | (l3 >>> 11);
    l3 = ((l3 << 21) | (h3 >>> 11)) ^ l0;
    h3 = high ^ h0;
    // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
    h2 = (h2 + h1 + carry(l2, l1)) | 0;
    l2 = (l2 + l1) | 0;
    high = (h1 << 17) | (l1 >>> 15);
    l1 = ((l1 << 17) | (h1 >>> 15)) ^ l2;
    h1 = high ^ h2;
    [this.#l0, this.#h0, this.#l1, this.#h1] = [l0, h0, l1, h1];
    [this.#l2, this.#h2, this.#l3, this.#h3] = [h2, l2, l3, h3];
  }
}

/** Of the sum of two low halves. */
function carry(a: number, b: number): number {
  return (a >>> 0) + (b >>> 0) > 0xffff_ffff ? 1 : 0;
}

/** Up to four bytes of `text`, the lowest first; 0 where `count` is negative. */
function bytes(text: string, start: number, count: number): number {
  let word = 0;
  for (let i = 0; i < count; i++) word |= (text.charCodeAt(start + i) & 0xff) << (8 * i);
  return word;
}
