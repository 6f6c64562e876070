// What the supervisor accepts as the views of a worker's event loops: the app runs in the same process.
import {
  type Check,
  type Fields,
  integer,
  invalid,
  list,
  number,
  oneOf,
  optional,
  record,
  text,
} from '../reports/fields.js';
import { type LastRequest, type LoopView, loopStates, maxRequestViews, type RequestView } from './loop-view.js';

/** Event loops that one worker tells of. */
const maxViews = 1024;

const count = integer(0, Number.MAX_SAFE_INTEGER);
const ms = number(0, 1e13);
const isTrue: Check<true> = (value) => (value === true ? true : invalid);
const short = text(1024);
const request = { reqId: short, method: short, url: text(65_536), client: optional(short) };

const last: Fields<LastRequest> = {
  ...request,
  status: integer(0, 65_535),
  durationMs: ms,
  busyMs: optional(ms),
  endedMs: ms,
};

const view: Fields<LoopView> = {
  tid: integer(0, 2 ** 31),
  state: oneOf(...loopStates),
  isHosted: optional(isTrue),
  connections: count,
  requests: count,
  inFlight: count,
  oldest: list(maxRequestViews, record<RequestView>({ ...request, ageMs: ms })),
  last: optional(record(last)),
  received: count,
  sent: count,
  utilization: number(0, 1),
  lagMs: optional(record({ p50: ms, p99: ms })),
  heapBytes: count,
  heapTotalBytes: count,
  staleMs: optional(ms),
};

export const loopViews: Check<readonly LoopView[]> = (value) => list(maxViews, record(view))(value) ?? invalid;
