// The black box of a worker: in memory that survives it stands which requests it is serving, so that its death can be
// laid at their door. Entries of a fixed size, in regions of which each event loop of the worker has one. Behind them is the
// heartbeat of the process.
import { readSync, writeSync } from 'node:fs';
import { now } from '../clock.js';
import type { LostRequest } from '../events.js';
import { type HeartbeatPlace, heartbeatBytes } from '../hang/heartbeat.js';
import { closeDescriptor } from '../os/descriptor.js';
import { createSharedMemory } from '../os/shared-memory.js';
import { type BodyDigest, digestBytes, digestOf, fingerprintOf, subjectOf } from './fingerprint.js';

/** How a box is divided. */
export interface BoxPlan {
  readonly regions: number;
  /** In each region: so many requests at the same time are on record. */
  readonly entries: number;
}

export const entryBytes = 1024;

/**
 * What is where in an entry. The first byte is written last: until then the entry is free. The text is the id, the method
 * and the target; behind it is room for a short body, whose length stands where the digest of a longer one would.
 */
export const at = {
  stage: 0,
  method: 1,
  id: 2,
  answered: 3,
  url: 4,
  status: 6,
  begun: 8,
  digest: 16,
  kept: 16,
  text: 16 + digestBytes,
} as const;
export const textBytes = entryBytes - at.text;

/** `stage`: what is known of the body. `bodyKept`: it is in the entry, whole. */
export const stage = { free: 0, bodyUnknown: 1, bodyKnown: 2, noBody: 3, bodyKept: 4 } as const;

/** `answered`: whether its client has the answer; `over`: and the app is done with it. */
export const answered = { no: 0, sent: 1, over: 2 } as const;

/** In a whole box. A region is never so small that one connection could not have its requests on record. */
const most = 4096;
const least = 8;

/** @param loops event loops that can live in the worker at the same time; 0 where none keeps a record */
function planBox(loops: number): BoxPlan {
  if (loops === 0) return { regions: 0, entries: 0 };
  const regions = Math.min(loops, most / least); // beyond that many, some keep no record
  // In steps of `least`, so that the regions of a mapping begin at whole pages.
  const entries = Math.max(least, Math.floor(most / regions / least) * least);
  return { regions, entries: Math.min(1024, entries) };
}

export function regionBytes({ entries }: BoxPlan): number {
  return entries * entryBytes;
}

export function boxBytes(plan: BoxPlan): number {
  return plan.regions * regionBytes(plan);
}

/** The supervisor's end of one. */
export class FlightBox {
  readonly plan: BoxPlan;
  /** For the worker to inherit. */
  readonly fd: number;

  /** @param loops as of `planBox`. @throws SystemCallError (EMFILE), Error */
  constructor(loops: number) {
    this.plan = planBox(loops);
    this.fd = createSharedMemory(boxBytes(this.plan) + heartbeatBytes);
  }

  /** Where the worker has its heartbeat, behind `fd` in this process. */
  get heartbeat(): HeartbeatPlace {
    return { fd: this.fd, position: boxBytes(this.plan) };
  }

  /** What was on record when the worker ended. */
  take(): readonly LostRequest[] {
    return takeFlights(this.fd, this.plan);
  }

  close(): void {
    closeDescriptor(this.fd);
  }
}

/** Lost ones: of more than so many nobody reads the rest. */
const mostLost = 256;

/**
 * Takes what is on record in the regions from `first` to before `end`, what was answered before what was not, of these the
 * youngest first: nobody writes there any more,
 * and they are free for the next one. Where the memory cannot be read, nothing.
 */
export function takeFlights(fd: number, plan: BoxPlan, first = 0, end = plan.regions): readonly LostRequest[] {
  // In pieces: a buffer for a whole box, at each death, would make the supervisor's memory go up and down by as much.
  const bytes = Buffer.allocUnsafe(least * entryBytes);
  const flights: LostRequest[] = [];
  try {
    for (let start = first * regionBytes(plan); start < end * regionBytes(plan); start += bytes.length) {
      if (readSync(fd, bytes, 0, bytes.length, start) < bytes.length) break; // its worker has cut the file off
      for (let from = 0; from < bytes.length; from += entryBytes) {
        if (bytes[from] === stage.free) continue;
        flights.push(readEntry(bytes.subarray(from, from + entryBytes)));
        writeSync(fd, Buffer.of(stage.free), 0, 1, start + from);
      }
    }
  } catch {} // it tells of a death that is told of anyway
  flights.sort((a, b) => a.ageMs - b.ageMs);
  const lost = flights.filter(({ answered }) => !answered).slice(0, mostLost);
  return [...flights.filter(({ answered }) => answered), ...lost];
}

function readEntry(entry: Buffer): LostRequest {
  const [idLength = 0, methodLength = 0] = [entry[at.id], entry[at.method]];
  let from: number = at.text;
  const [reqId = '', method = '', url = ''] = [idLength, methodLength, entry.readUInt16LE(at.url)].map((length) => {
    from += length;
    return entry.toString('latin1', from - length, Math.min(entryBytes, from));
  });
  return {
    reqId,
    method,
    url,
    ageMs: ageOf(entry.readDoubleLE(at.begun)),
    fingerprint: fingerprintOf(subjectOf(method, url), bodyOf(entry, from)),
    ...(entry[at.answered] !== answered.no && {
      answered: { status: entry.readUInt16LE(at.status), isOver: entry[at.answered] === answered.over },
    }),
  };
}

/** Milliseconds; 0 for a time that is none, as a worker can write there what it likes. */
function ageOf(begun: number): number {
  const time = now();
  return begun >= 0 && begun < time ? Math.round(time - begun) : 0;
}

/** @param from where a body is that has been kept */
function bodyOf(entry: Buffer, from: number): BodyDigest {
  switch (entry[at.stage]) {
    case stage.noBody:
      return 'none';
    case stage.bodyKnown:
      return entry.toString('hex', at.digest, at.text);
    case stage.bodyKept:
      return digestOf(entry.subarray(from, from + entry.readUInt16LE(at.kept)));
    default:
      return 'unknown';
  }
}
