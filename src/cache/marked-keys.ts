// Keys of which something is known for a while: their responses may not be stored, or need a question to the app each time. In a
// table of a fixed size, so that clients cannot make it grow: a key is forgotten when another one takes its place.
import { hash } from '../hash.js';

const places = 4096;
/** Since the last response that said so (milliseconds). */
const rememberMs = 10_000;

export class MarkedKeys {
  readonly #hashes = new Uint32Array(places);
  /** On the clock of the caller. */
  readonly #until = new Float64Array(places);

  add(key: string, time: number): void {
    const hashed = hash(key);
    this.#hashes[hashed % places] = hashed;
    this.#until[hashed % places] = time + rememberMs;
  }

  has(key: string, time: number): boolean {
    const hashed = hash(key);
    return this.#hashes[hashed % places] === hashed && (this.#until[hashed % places] as number) > time;
  }
}
