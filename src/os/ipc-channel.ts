// One end of an IPC channel of Node's that is not that of `process`: an app in this process finds no `process.send`, as in a
// plain Node process, and neither hears nor replaces anything of the channel. Node makes such a channel only for a child that
// it starts, so this starts a child that is none. Uses Node internals, which `test/unit/ipc-channel.test.ts` pins.
import { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';

export type IpcChannel = EventEmitter & Pick<ChildProcess, 'connected' | 'send'>;

/** What Node makes of the word 'ipc' in the options. */
interface Pipe {
  /** @returns 0, or the number of an error */
  open(fd: number): number;
}

/** @param fd of a connected Unix socket, which the channel owns from now on */
export function openChannel(fd: number): IpcChannel {
  // Not by its constructor, which makes a handle for a process that keeps the object for ever.
  const channel = Object.create(ChildProcess.prototype) as ChildProcess & {
    _handle: object;
    spawn(options: object): void;
  };
  Reflect.apply(EventEmitter, channel, []);
  const options = { file: '', stdio: ['ipc'] as unknown };
  channel._handle = {
    pid: 0,
    spawn: () => (options.stdio as [{ readonly handle: Pipe }])[0].handle.open(fd),
    close: () => {},
  };
  channel.spawn(options);
  return channel;
}
