// The in-flight journal of a worker: shared memory that holds the requests it is serving and survives its death. A slot per
// request, a region per event loop. Behind the regions is the heartbeat of the process.
import { readSync, writeSync } from 'node:fs';
import { now } from '../clock.js';
import { type HeartbeatLocation, heartbeatBytes } from '../hang/heartbeat.js';
import { closeDescriptor } from '../os/descriptor.js';
import { createSharedMemory } from '../os/shared-memory.js';
import type { LostRequest, RequestInFlight } from '../reports/report.js';
import { type BodyDigest, digestBytes, digestOf, fingerprintOf, requestLine, truncateUrl } from './fingerprint.js';

export interface JournalLayout {
  readonly regions: number;
  readonly slotsPerRegion: number;
}

/** Plain data, for the process that inherits the descriptor. */
export interface JournalFile {
  readonly fd: number;
  readonly layout: JournalLayout;
}

export const slotBytes = 1024;

/**
 * Offsets of the fields in a slot. `state` is written last: until then the slot is free. `text` is the id, the method and
 * the target; a body that fits follows, and then `bodyLength` takes the bytes of `digest`.
 */
export const offset = {
  state: 0,
  methodLength: 1,
  idLength: 2,
  response: 3,
  targetLength: 4,
  status: 6,
  begunAt: 8,
  digest: 16,
  bodyLength: 16,
  flags: 16 + digestBytes,
  text: 17 + digestBytes,
} as const;
export const textBytes = slotBytes - offset.text;

/** `bodyInSlot`: the slot holds the whole body instead of its digest. */
export const slotState = { free: 0, bodyUnknown: 1, bodyDigested: 2, noBody: 3, bodyInSlot: 4 } as const;

/** `sent`: the kernel has the whole response. `closed`: and the app has finished the request. */
export const responseState = { pending: 0, sent: 1, closed: 2 } as const;

/**
 * What tells a request that ends a worker from those that are in flight beside it. `onStack`: its handler is running.
 * `culprit`: code that it has started is ending the worker. `begun`: its response has begun. `acquitted`: the code of a
 * request that has ended is ending the worker.
 */
export const flag = { onStack: 1, culprit: 2, begun: 4, acquitted: 8 } as const;

const maxSlots = 4096;
/** Enough for the requests of one connection. */
const minSlotsPerRegion = 8;
const maxSlotsPerRegion = 1024;

/** @param loops event loops that can run in the worker at the same time; 0 for a journal of a heartbeat alone */
function layoutFor(loops: number): JournalLayout {
  if (loops === 0) return { regions: 0, slotsPerRegion: 0 };
  const regions = Math.min(loops, maxSlots / minSlotsPerRegion); // further event loops have no region
  // A multiple of the minimum, so that each region begins on a page boundary.
  const slots = Math.floor(maxSlots / regions / minSlotsPerRegion) * minSlotsPerRegion;
  return { regions, slotsPerRegion: Math.min(maxSlotsPerRegion, Math.max(minSlotsPerRegion, slots)) };
}

export function regionBytes({ slotsPerRegion }: JournalLayout): number {
  return slotsPerRegion * slotBytes;
}

export function journalBytes(layout: JournalLayout): number {
  return layout.regions * regionBytes(layout);
}

/** The journal in the supervisor, which creates it and reads it after the worker's death. */
export class Journal implements JournalFile {
  readonly layout: JournalLayout;
  /** The worker inherits it. */
  readonly fd: number;
  #isClosed = false;

  /** @param loops as of `layoutFor`. @throws SystemCallError (EMFILE), Error */
  constructor(loops: number) {
    this.layout = layoutFor(loops);
    this.fd = createSharedMemory(journalBytes(this.layout) + heartbeatBytes);
  }

  /** The descriptor in it is that of this process. */
  get heartbeat(): HeartbeatLocation {
    return { fd: this.fd, position: journalBytes(this.layout) };
  }

  /** After the worker's death. */
  take(): readonly LostRequest[] {
    return takeRequests(this);
  }

  /** While the worker lives: the unanswered ones, the oldest first. */
  inFlight(): readonly RequestInFlight[] {
    return this.#isClosed ? [] : readInFlight(this);
  }

  close(): void {
    this.#isClosed = true;
    closeDescriptor(this.fd);
  }
}

/** Unanswered requests that one death reports. */
const maxLost = 256;

/** A request in a slot. */
interface RecordedRequest {
  readonly region: number;
  readonly flags: number;
  /** Its body has arrived, or it has none: it waits for the app. */
  readonly isComplete: boolean;
  readonly request: LostRequest;
}

/**
 * Reads the requests in the regions from `first` to before `end`, and frees their slots. Call it when the event loops of
 * these regions have ended.
 * @returns answered requests, then at most `maxLost` unanswered ones, the youngest first; none if the file cannot be read
 */
export function takeRequests({ fd, layout }: JournalFile, first = 0, end = layout.regions): readonly LostRequest[] {
  const recorded: RecordedRequest[] = [];
  try {
    forEachRecorded({ fd, layout }, first, end, (slot, position) => {
      recorded.push(readSlot(slot, Math.floor(position / regionBytes(layout))));
      writeSync(fd, Buffer.of(slotState.free), 0, 1, position);
    });
  } catch {} // the death itself is reported all the same
  const requests = withEvidence(recorded).sort((a, b) => a.ageMs - b.ageMs);
  const lost = requests.filter(({ answered }) => !answered).slice(0, maxLost);
  return [...requests.filter(({ answered }) => answered), ...lost];
}

/**
 * Reads the unanswered requests in the regions from `first` to before `end`, and changes nothing: their event loops may be at
 * work. @returns the oldest first; none if the file cannot be read
 */
export function readInFlight(file: JournalFile, first = 0, end = file.layout.regions): readonly RequestInFlight[] {
  const found: RequestInFlight[] = [];
  try {
    forEachRecorded(file, first, end, (slot) => {
      if (slot[offset.response] !== responseState.pending) return;
      const { reqId, method, target } = readText(slot, 0);
      found.push({ reqId, method, url: truncateUrl(target), ageMs: ageOf(slot.readDoubleLE(offset.begunAt)) });
    });
  } catch {}
  return found.sort((a, b) => b.ageMs - a.ageMs);
}

/** @param visit called with each slot that is in use, and its position in the file */
function forEachRecorded(
  { fd, layout }: JournalFile,
  first: number,
  end: number,
  visit: (slot: Buffer, position: number) => void,
): void {
  // In chunks: a buffer for the whole journal would raise the supervisor's memory by 4 MiB at each death.
  const chunk = Buffer.allocUnsafe(minSlotsPerRegion * slotBytes);
  for (let start = first * regionBytes(layout); start < end * regionBytes(layout); start += chunk.length) {
    if (readSync(fd, chunk, 0, chunk.length, start) < chunk.length) return; // the worker has truncated the file
    for (let slot = 0; slot < chunk.length; slot += slotBytes)
      if (chunk[slot] !== slotState.free) visit(chunk.subarray(slot, slot + slotBytes), start + slot);
  }
}

/** Says of each request that may have caused the death what speaks against it. */
function withEvidence(recorded: readonly RecordedRequest[]): LostRequest[] {
  const inFlight = recorded.filter(({ request }) => !request.answered?.isOver);
  const onStack = inFlight.filter(({ flags }) => flags & (flag.onStack | flag.culprit));
  // The threads of a process that dies may all be running handlers: it is not known which of them has ended it.
  const isOneLoop = new Set(onStack.map(({ region }) => region)).size === 1;
  const [first] = inFlight;
  const isAlone = inFlight.length === 1 && first?.isComplete && !(first.flags & (flag.begun | flag.acquitted));
  return recorded.map((one) => {
    if (isOneLoop && onStack.includes(one)) return { ...one.request, evidence: 'stack' };
    return isAlone && one === first ? { ...one.request, evidence: 'alone' } : one.request;
  });
}

function readSlot(slot: Buffer, region: number): RecordedRequest {
  const { reqId, method, target, end } = readText(slot, 0);
  const response = slot[offset.response];
  const request = {
    reqId,
    method,
    url: truncateUrl(target),
    ageMs: ageOf(slot.readDoubleLE(offset.begunAt)),
    fingerprint: fingerprintOf(requestLine(method, target), bodyDigest(slot, end)),
    ...(response !== responseState.pending && {
      answered: { status: slot.readUInt16LE(offset.status), isOver: response === responseState.closed },
    }),
  };
  return {
    region,
    flags: slot[offset.flags] as number,
    isComplete: slot[offset.state] !== slotState.bodyUnknown,
    request,
  };
}

/** The texts in a slot, and where they end. @param slot its position in `bytes` */
function readText(bytes: Buffer, slot: number) {
  const lengths = [bytes[slot + offset.idLength], bytes[slot + offset.methodLength]];
  let end = slot + offset.text;
  const [reqId = '', method = '', target = ''] = [...lengths, bytes.readUInt16LE(slot + offset.targetLength)].map(
    (length = 0) => {
      end += length;
      return bytes.toString('latin1', end - length, Math.min(slot + slotBytes, end));
    },
  );
  return { reqId, method, target, end };
}

/** Milliseconds; 0 for an impossible time, as the app can write anything to the journal. */
function ageOf(begunAt: number): number {
  const time = now();
  return begunAt >= 0 && begunAt < time ? Math.round(time - begunAt) : 0;
}

/** @param start offset of a body that is in the slot */
function bodyDigest(slot: Buffer, start: number): BodyDigest {
  switch (slot[offset.state]) {
    case slotState.noBody:
      return 'none';
    case slotState.bodyDigested:
      return slot.toString('hex', offset.digest, offset.digest + digestBytes);
    case slotState.bodyInSlot:
      return digestOf(slot.subarray(start, start + slot.readUInt16LE(offset.bodyLength)));
    default:
      return 'unknown';
  }
}
