// Keeps the record of one event loop: a request that begins takes an entry of its region, and gives it back when it ends.
import { writeSync } from 'node:fs';
import { answered, at, entryBytes, stage, textBytes } from './box.js';
import { digestBytes, shortened } from './fingerprint.js';

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

  /** @returns what to call the others with */
  begin(reqId: string, method: string, url: string, hasBody: boolean): number {
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
    bytes.writeDoubleLE(Date.now(), from + at.begun);
    bytes.write(text, from + at.text, textBytes, 'latin1');
    bytes[from + at.stage] = hasBody ? stage.bodyUnknown : stage.noBody;
    this.#wrote(from, at.text + text.length);
    return from;
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

  #wrote(from: number, length: number): void {
    if (!this.#file) return;
    const { fd, position } = this.#file;
    writeSync(fd, this.#bytes, from, Math.min(length, entryBytes), position + from);
  }
}
