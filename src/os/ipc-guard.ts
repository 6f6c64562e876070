// Protects this process from what a child writes to its IPC channel. Node's reader trusts the child: invalid JSON, an
// unexpected acknowledgement or an unknown handle type throws an exception that no caller can catch, and an endless line
// fills the memory. Uses Node internals, which `test/unit/ipc-guard.test.ts` pins, and does nothing if they are missing.
import type { EventEmitter } from 'node:events';

/** A longer line breaks the channel. */
const maxLineChars = 16 * 1024 ** 2;
/** More acknowledgements that the child has not read break the channel. */
const maxUnreadAcks = 1000;

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
  /** Came with the chunk that is read next. */
  pendingHandle: Handle | null;
  [incompleteLine: symbol]: unknown;
}

/**
 * Refuses handles from the child. @param onBroken called once, with a sentence, if the channel cannot be read any further
 * @returns false if this Node's internals are not supported
 */
export function guardChannel(child: Child, onBroken: (reason: string) => void): boolean {
  const channelKey = symbolOf(child, 'kChannelHandle');
  const channel = channelKey && (child as unknown as Record<symbol, Channel | undefined>)[channelKey];
  const read = channel?.onread;
  if (!channel || typeof read !== 'function') return false;
  const lineKey = symbolOf(channel, 'kJSONBuffer');
  let isBroken = false;
  const fail = (reason: string): void => {
    if (!isBroken) onBroken(reason);
    isBroken = true;
  };
  channel.onread = function (chunk) {
    try {
      this.pendingHandle?.close?.();
      this.pendingHandle = null;
      if (isBroken && chunk) return; // but the end of the channel is read
      read.call(this, chunk);
      const line = lineKey && this[lineKey];
      if (typeof line === 'string' && line.length > maxLineChars) {
        this[lineKey as symbol] = '';
        fail(`it sent a line of more than ${maxLineChars} characters on its IPC channel`);
      }
    } catch (error) {
      fail(`its IPC channel cannot be read: ${(error as Error).message}`);
    }
  };
  guardCommands(child, fail);
  return true;
}

/** Node emits its own commands as events, each from a callback of its own. */
function guardCommands(child: Child, fail: (reason: string) => void): void {
  const emit = child.emit as (event: string, ...args: unknown[]) => boolean;
  let unread = 0;
  const acknowledge = (): void => {
    unread++;
    // The handle is closed already. Without an acknowledgement the child would send nothing further.
    if (unread > maxUnreadAcks) fail('it sends handles and does not read their acknowledgements');
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
      return true; // it acknowledges a handle that was not sent, which changes nothing
    }
  };
}

function symbolOf(target: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(target).find((symbol) => symbol.description === description);
}
