// Which messages the supervisor accepts from a worker. The app runs in the worker's process and can send what it likes, so
// a message is at most wrong about its own worker: each field is checked, and the worker's object is never passed on.
import { isIP } from 'node:net';
import { ExitCode } from '../errors.js';
import { type LoopStack, maxLoops, unreadableReasons } from '../hang/loop-stack.js';
import { checkTold, count, long, nameField, requestInFlight, type Sender, short, tid } from '../reports/checks.js';
import {
  type Check,
  type FieldsOf,
  flag,
  integer,
  invalid,
  list,
  number,
  oneOf,
  optional,
  ownField,
  record,
  recordsByName,
} from '../reports/fields.js';
import { loopViews } from '../scoreboard/loop-check.js';
import type { SecondaryAddress } from '../secondary/address.js';
import type { FromWorker } from './messages.js';

type Type = Exclude<FromWorker['type'], 'report' | 'event'>;

const id = integer(1, Number.MAX_SAFE_INTEGER);

const tcpAddress = record<Extract<SecondaryAddress, { kind: 'tcp' }>>({
  kind: oneOf('tcp'),
  host: optional((value) => (typeof value === 'string' && isIP(value) > 0 ? value : invalid)),
  port: integer(0, 65_535),
  index: optional(integer(0, 65_535)),
  ipv6Only: optional(flag),
});
const unixAddress = record<Extract<SecondaryAddress, { kind: 'unix' }>>({
  kind: oneOf('unix'),
  path: (value) => (typeof value === 'string' && /^\/[^\0]{0,1023}$/.test(value) ? value : invalid),
  mode: integer(0, 0o777),
});
const address: Check<SecondaryAddress> = (value) =>
  ownField(value, 'kind') === 'unix' ? unixAddress(value) : tcpAddress(value);

const loop = record<LoopStack>({
  tid,
  state: oneOf<LoopStack['state']>('idle', 'blocked'),
  stack: list(32, short),
  unreadable: optional(oneOf(...unreadableReasons)),
  inFlight: count,
  oldest: list(8, requestInFlight),
});

const messages: { readonly [T in Type]: FieldsOf<Extract<FromWorker, { type: T }>, 'type'> } = {
  ready: {},
  failed: { exitCode: oneOf(...Object.values(ExitCode)), message: long, stack: long },
  taken: { id },
  refused: { id },
  ended: { id },
  answered: { count },
  closed: {},
  draining: {},
  migrating: {},
  session: { session: (value) => (typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) ? value : invalid) },
  load: { load: number(0, 1) },
  chdir: { directory: long },
  answer: {
    id,
    ms: optional(number(-1, 1e13)),
    failure: optional(long),
    views: optional(loopViews),
    loops: optional(list(maxLoops, loop)),
  },
  listen: { id, address },
  unlisten: { id, isClosed: flag },
};

const bodies = recordsByName(messages);

/** A message that is safe to act on; undefined for one that no worker of ours sends. Never throws. */
export function checkMessage(raw: unknown, sender: Sender): FromWorker | undefined {
  const type = ownField(raw, 'type');
  if (type === 'report' || type === 'event') {
    const told = checkTold(type, ownField(raw, type), sender);
    return told && ({ type, [type]: told } as FromWorker);
  }
  const body = bodies.get(type)?.(raw) ?? invalid;
  return body === invalid ? undefined : ({ type, ...body } as FromWorker);
}

/** What an operator is told of a message that is not one of ours: its type, which may be anything. */
export function describeMessage(raw: unknown): string {
  const type = ownField(raw, 'type');
  const name = type === 'report' || type === 'event' ? ownField(ownField(raw, type), nameField[type]) : undefined;
  return [type, name]
    .map((name) => (typeof name === 'string' ? name.slice(0, 64) : typeof name))
    .join(' ')
    .replace(/ undefined$/, '');
}
