// Keeps what a child process writes to its IPC channel from ending this process. Node's reader trusts the child: a line
// that is no JSON, an acknowledgement that nobody waits for, or a handle of an unknown type throws outside of any caller's
// reach, and a line without an end grows until the memory is full. Uses undocumented parts of Node, and does without the
// guard where they are missing; `test/unit/ipc-guard.test.ts` pins them.
import type { EventEmitter } from 'node:events';

/** A longer line breaks the channel (characters). */
const maxLine = 16 * 1024 ** 2;
/** Answers that the child has not read; more of them break the channel. */
const maxUnread = 1000;

/** A `ChildProcess`. */
interface Child extends EventEmitter {
  readonly connected: boolean;
  send(message: object, sent: () => void): boolean;
}

interface Handle {
  close?(): void;
}

interface Channel {
  onread: ((this: Channel, chunk: ArrayBuffer | undefined) => void) | undefined;
  /** What came with the chunk that is read next. */
  pendingHandle: Handle | null;
  [incompleteLine: symbol]: unknown;
}

/**
 * Accepts no handle from the child, and calls `onBroken` once, with a sentence, when nothing further can be read from it.
 * @returns whether this Node could be guarded
 */
export function guardChannel(child: Child, onBroken: (reason: string) => void): boolean {
  const channel = bySymbol(child, 'kChannelHandle') as Channel | undefined;
  const read = channel?.onread;
  if (!channel || typeof read !== 'function') return false;
  const lineKey = symbolOf(channel, 'kJSONBuffer');
  let isBroken = false;
  const breaks = (reason: string): void => {
    if (!isBroken) onBroken(reason);
    isBroken = true;
  };
  channel.onread = function (chunk) {
    try {
      this.pendingHandle?.close?.();
      this.pendingHandle = null;
      if (isBroken && chunk) return; // its end is read in any case
      read.call(this, chunk);
      const line = lineKey && this[lineKey];
      if (typeof line === 'string' && line.length > maxLine) {
        this[lineKey as symbol] = '';
        breaks(`it sent a line of more than ${maxLine} characters on its channel`);
      }
    } catch (error) {
      breaks(`what it sent on its channel cannot be read: ${(error as Error).message}`);
    }
  };
  guardCommands(child, breaks);
  return true;
}

/** Node's own commands come as events, each in a turn of its own. */
function guardCommands(child: Child, breaks: (reason: string) => void): void {
  const emit = child.emit as (event: string, ...args: unknown[]) => boolean;
  let unread = 0;
  const acknowledge = (): void => {
    unread++;
    // The handle is closed already. Without an answer the child would send nothing further.
    if (unread > maxUnread) breaks('it sends handles and reads no answer');
    else if (child.connected) child.send({ cmd: 'NODE_HANDLE_ACK' }, () => unread--);
  };
  child.emit = (event: string, ...args: unknown[]): boolean => {
    if (event !== 'internalMessage') return Reflect.apply(emit, child, [event, ...args]);
    if ((args[0] as { cmd?: unknown } | undefined)?.cmd === 'NODE_HANDLE') {
      acknowledge();
      return true;
    }
    try {
      return Reflect.apply(emit, child, [event, ...args]);
    } catch {
      return true; // an acknowledgement of what was not sent: it changes nothing
    }
  };
}

function symbolOf(target: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(target).find((symbol) => symbol.description === description);
}

function bySymbol(target: object, description: string): unknown {
  const symbol = symbolOf(target, description);
  return symbol && (target as Record<symbol, unknown>)[symbol];
}
