// Keeps the record of one event loop: a request that begins takes an entry of its region, and gives it back when it ends.
import { writeSync } from 'node:fs';
import { now } from '../clock.js';
import { digestBytes, shortened } from './fingerprint.js';
import { answered, at, entryBytes, stage, textBytes } from './journal.js';

/** Where a region is: mapped, or behind a descriptor where to map it would cost more than the few writes. */
export type Region =
  | { readonly memory: Buffer }
  | { readonly fd: number; readonly position: number; readonly bytes: number };

/** No entry was free: this request is not on record. */
export const unrecorded = -1;

export class Recorder {
  #bytes: Buffer;
  readonly #free: number[] = [];
  /** Those that have ended and have no access line yet. */
  readonly #unsettled: number[] = [];
  #file: { readonly fd: number; readonly position: number } | undefined;

  constructor(region: Region) {
    this.#bytes = 'memory' in region ? region.memory : Buffer.alloc(region.bytes);
    this.#file = 'memory' in region ? undefined : region;
    // The last one that was given back is the next to be used, so that few pages are ever touched.
    for (let from = this.#bytes.length - entryBytes; from >= 0; from -= entryBytes) this.#free.push(from);
  }

  /** What was a file until now is mapped at `memory`, which is faster from the third request on. */
  map(memory: Buffer): void {
    this.#bytes = memory;
    this.#file = undefined;
  }

  /**
   * @param begunAt on the clock of `clock.ts`
   * @returns what to call the others with
   */
  begin(reqId: string, method: string, url: string, hasBody: boolean, begunAt = now()): number {
    const from = this.#free.pop() ?? this.#unsettled.shift();
    if (from === undefined) return unrecorded;
    const bytes = this.#bytes;
    const shown = shortened(url);
    const text = reqId + method + shown;
    bytes[from + at.id] = reqId.length;
    bytes[from + at.stage] = stage.free;
    bytes[from + at.answered] = answered.no;
    bytes[from + at.method] = method.length;
    bytes[from + at.url] = shown.length & 0xff;
    bytes[from + at.url + 1] = shown.length >> 8;
    bytes.writeDoubleLE(begunAt, from + at.begun);
    bytes.write(text, from + at.text, textBytes, 'latin1');
    bytes[from + at.stage] = hasBody ? stage.bodyUnknown : stage.noBody;
    this.#wrote(from, at.text + text.length);
    return from;
  }

  /**
   * Keeps a part of its body, as long as there is room. @param offset bytes of it that are kept already
   * @returns false when there is none, and nothing was kept
   */
  keepBody(from: number, offset: number, chunk: Buffer): boolean {
    if (from === unrecorded) return false;
    const start = this.#bodyAt(from) + offset;
    if (start + chunk.length > from + entryBytes) return false;
    chunk.copy(this.#bytes, start);
    this.#write(start, chunk.length);
    return true;
  }

  /** What is kept of its body. @param length bytes; by default those of a body that is whole */
  keptBody(from: number, length = this.#bytes.readUInt16LE(Math.max(0, from) + at.kept)): Buffer | undefined {
    if (from === unrecorded) return undefined;
    const start = this.#bodyAt(from);
    return this.#bytes.subarray(start, start + length);
  }

  /** Its body has arrived, and all of it is kept. */
  sealKept(from: number, length: number): void {
    if (from === unrecorded) return;
    this.#bytes[from + at.kept] = length & 0xff;
    this.#bytes[from + at.kept + 1] = length >> 8;
    this.#bytes[from + at.stage] = stage.bodyKept;
    this.#wrote(from, at.text);
  }

  /** Its body has arrived, or as much of it as is looked at. */
  seal(from: number, digest: Buffer): void {
    if (from === unrecorded) return;
    digest.copy(this.#bytes, from + at.digest, 0, digestBytes);
    this.#bytes[from + at.stage] = stage.bodyKnown;
    this.#wrote(from, at.text);
  }

  /**
   * Its answer is being handed to the system: should the worker end before it has written the access line, somebody else
   * can. @param isAnswered false: not all of it could be handed over, which may take as long as its client takes
   */
  answer(from: number, status: number, isAnswered: boolean): void {
    if (from === unrecorded) return;
    this.#answer(from, status, isAnswered ? answered.sent : answered.no);
  }

  /** As `end`, when the lines of all that have ended so have been written (`settle`). */
  endUnsettled(from: number, status: number): void {
    if (from === unrecorded) return;
    this.#answer(from, status, answered.over);
    this.#unsettled.push(from);
  }

  settle(): void {
    for (const from of this.#unsettled.splice(0)) this.end(from);
  }

  end(from: number): void {
    if (from === unrecorded) return;
    this.#bytes[from + at.stage] = stage.free;
    this.#wrote(from, 1);
    this.#free.push(from);
  }

  #answer(from: number, status: number, how: number): void {
    this.#bytes.writeUInt16LE(status & 0xffff, from + at.status); // an app can set any
    this.#bytes[from + at.answered] = how;
    this.#wrote(from, at.begun);
  }

  #bodyAt(from: number): number {
    const bytes = this.#bytes;
    const url = (bytes[from + at.url] as number) + ((bytes[from + at.url + 1] as number) << 8);
    return from + at.text + (bytes[from + at.id] as number) + (bytes[from + at.method] as number) + url;
  }

  #wrote(from: number, length: number): void {
    this.#write(from, Math.min(length, entryBytes));
  }

  #write(start: number, length: number): void {
    if (!this.#file) return;
    const { fd, position } = this.#file;
    writeSync(fd, this.#bytes, start, length, position + start);
  }
}
