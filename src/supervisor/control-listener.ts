// The control socket: its place in the file system, and who answers there. At an upgrade both go to another process.
import { ControlServer, type Controls } from '../control/server.js';
import { duplicate } from '../os/descriptor.js';
import { type Listener, openListeners } from './listener.js';

/** Operators that wait for an answer at the same time. */
const backlog = 16;

export interface ControlDoor {
  readonly listener: Listener;
  close(): Promise<void>;
  /** Leaves it to another process, which answers there. */
  abandon(): Promise<void>;
}

/** @param from where its path was configured, in words. @throws StartupError when the socket cannot be opened */
export async function openControl(file: string, from: string, controls: Controls): Promise<ControlDoor> {
  const [opened] = await openListeners([{ kind: 'unix', path: file }], backlog, from);
  if (!opened) throw new Error('a socket was asked for, and none was opened');
  return controlDoor(opened, controls);
}

/** On a socket that listens already. */
export function controlDoor(listener: Listener, controls: Controls): ControlDoor {
  const server = new ControlServer(duplicate(listener.fd), controls);
  let isOurs = true;
  return {
    listener,
    close: async () => {
      await server.close();
      if (isOurs) listener.close();
    },
    abandon: async () => {
      isOurs = false;
      listener.abandon();
      await server.close();
    },
  };
}
