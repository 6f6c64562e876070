// Writes the requests of one event loop to its region of the journal: a slot per request, freed when the request ends.
import { writeSync } from 'node:fs';
import { now } from '../clock.js';
import { digestBytes, targetOf } from './fingerprint.js';
import { flag, offset, responseState, slotBytes, slotState, textBytes } from './journal.js';
import type { Region } from './regions.js';

/** The slot of a request that is not in the journal. */
export const noSlot = -1;

export class JournalWriter {
  readonly #region: Region;
  #bytes: Buffer;
  readonly #free: number[] = [];
  /** Slots of ended requests whose access log lines are not written yet. */
  readonly #unlogged: number[] = [];
  /** The descriptor to write to; undefined once the region is mapped. */
  #fd: number | undefined;

  constructor(region: Region) {
    const { journal, bytes } = region;
    this.#region = region;
    if (typeof journal === 'number') {
      this.#bytes = Buffer.alloc(bytes);
      this.#fd = journal;
    } else this.#bytes = this.#mapped(journal);
    // A stack: the slot that was freed last is used next, so that few pages are ever touched.
    for (let slot = bytes - slotBytes; slot >= 0; slot -= slotBytes) this.#free.push(slot);
  }

  /** From now on writes to mapped memory, which is faster from the third request on. @param memory of `mapJournal` */
  map(memory: SharedArrayBuffer): void {
    this.#bytes = this.#mapped(memory);
    this.#fd = undefined;
  }

  /**
   * Records a request whose handler is about to run. Without a free slot it takes the oldest one that only waits for its
   * access log line.
   * @param begunAt on the clock of `clock.ts`
   * @returns the slot, for the other methods; `noSlot` if there is none
   */
  begin(reqId: string, method: string, url: string, hasBody: boolean, begunAt = now()): number {
    const slot = this.#free.pop() ?? this.#unlogged.shift();
    if (slot === undefined) return noSlot;
    const bytes = this.#bytes;
    const target = targetOf(url);
    const text = reqId + method + target;
    bytes[slot + offset.idLength] = reqId.length;
    bytes[slot + offset.state] = slotState.free;
    bytes[slot + offset.response] = responseState.pending;
    bytes[slot + offset.methodLength] = method.length;
    bytes[slot + offset.targetLength] = target.length & 0xff;
    bytes[slot + offset.targetLength + 1] = target.length >> 8;
    bytes[slot + offset.flags] = flag.onStack;
    bytes.writeDoubleLE(begunAt, slot + offset.begunAt);
    bytes.write(text, slot + offset.text, textBytes, 'latin1');
    bytes[slot + offset.state] = hasBody ? slotState.bodyUnknown : slotState.noBody;
    this.#write(slot, Math.min(offset.text + text.length, slotBytes));
    return slot;
  }

  /** The handler of the request runs, or has returned. */
  setOnStack(slot: number, isOnStack: boolean): void {
    if (slot !== noSlot) this.#setFlag(slot, flag.onStack, isOnStack);
  }

  /** The response has begun: the request waits for its client, not for the app. */
  setBegun(slot: number): void {
    if (slot !== noSlot) this.#setFlag(slot, flag.begun, true);
  }

  /** Code that this request has started is ending the worker. */
  convict(slot: number): void {
    this.#setFlag(slot, flag.culprit, true);
  }

  /** The code of a request that has ended is ending the worker: none in flight is to blame. */
  acquitAll(): void {
    for (const slot of this.#inFlight()) this.#setFlag(slot, flag.acquitted, true);
  }

  /** The worker lives. */
  withdraw(): void {
    for (const slot of this.#inFlight()) this.#setFlag(slot, flag.culprit | flag.acquitted, false);
  }

  /**
   * Adds a chunk of the request body to its slot. @param length bytes of the body that are there already
   * @returns false if the chunk does not fit
   */
  appendBody(slot: number, length: number, chunk: Buffer): boolean {
    const start = this.#bodyStart(slot) + length;
    if (start + chunk.length > slot + slotBytes) return false;
    chunk.copy(this.#bytes, start);
    this.#write(start, chunk.length);
    return true;
  }

  /** The body in a slot. @param length bytes; by default what `finishBody` has set */
  bodyIn(slot: number, length = this.#bytes.readUInt16LE(slot + offset.bodyLength)): Buffer {
    const start = this.#bodyStart(slot);
    return this.#bytes.subarray(start, start + length);
  }

  /** The whole body has arrived, and is in the slot. */
  finishBody(slot: number, length: number): void {
    this.#bytes.writeUInt16LE(length, slot + offset.bodyLength);
    this.#bytes[slot + offset.state] = slotState.bodyInSlot;
    this.#write(slot, offset.text);
  }

  /** The body has arrived as far as it counts, and does not fit into the slot. */
  setDigest(slot: number, digest: Buffer): void {
    digest.copy(this.#bytes, slot + offset.digest, 0, digestBytes);
    this.#bytes[slot + offset.state] = slotState.bodyDigested;
    this.#write(slot, offset.text);
  }

  /**
   * The worker is passing the response to the kernel. If the worker dies before it logs the request, its host does.
   * @param isSent false if the kernel could not take all of it, which then depends on the client
   */
  setResponse(slot: number, status: number, isSent: boolean): void {
    if (slot !== noSlot) this.#setResponse(slot, status, isSent ? responseState.sent : responseState.pending);
  }

  /** The request has ended, but its access log line is not written: keeps the slot until `freeLogged`. */
  endUnlogged(slot: number, status: number): void {
    if (slot === noSlot) return;
    this.#setResponse(slot, status, responseState.closed);
    this.#unlogged.push(slot);
  }

  /** All access log lines so far are written. */
  freeLogged(): void {
    for (const slot of this.#unlogged.splice(0)) this.end(slot);
  }

  end(slot: number): void {
    if (slot === noSlot) return;
    this.#bytes[slot + offset.state] = slotState.free;
    this.#write(slot, 1);
    this.#free.push(slot);
  }

  #setResponse(slot: number, status: number, state: number): void {
    this.#bytes.writeUInt16LE(status & 0xffff, slot + offset.status); // an app can set any number
    this.#bytes[slot + offset.response] = state;
    this.#write(slot, offset.begunAt);
  }

  #setFlag(slot: number, bits: number, isSet: boolean): void {
    const at = slot + offset.flags;
    const flags = this.#bytes[at] as number;
    this.#bytes[at] = isSet ? flags | bits : flags & ~bits;
    this.#write(at, 1);
  }

  *#inFlight(): Iterable<number> {
    const { length } = this.#bytes;
    for (let slot = 0; slot < length; slot += slotBytes) if (this.#bytes[slot] !== slotState.free) yield slot;
  }

  #bodyStart(slot: number): number {
    const bytes = this.#bytes;
    const idAndMethod = (bytes[slot + offset.idLength] as number) + (bytes[slot + offset.methodLength] as number);
    return slot + offset.text + idAndMethod + bytes.readUInt16LE(slot + offset.targetLength);
  }

  #mapped(memory: SharedArrayBuffer): Buffer {
    return Buffer.from(memory, this.#region.start, this.#region.bytes);
  }

  #write(start: number, length: number): void {
    if (this.#fd !== undefined) writeSync(this.#fd, this.#bytes, start, length, this.#region.start + start);
  }
}
