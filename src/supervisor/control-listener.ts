// The listening socket of the control server, and the server on it. Both move to the successor at an upgrade.
import { ControlServer, type Controls } from '../control/server.js';
import { duplicate } from '../os/descriptor.js';
import { type Listener, openListeners } from './listener.js';

/** Control clients that the kernel queues. */
const backlog = 16;

export interface ControlListener {
  readonly listener: Listener;
  close(): Promise<void>;
  /** Stops serving, but leaves the socket and its file to the successor. */
  abandon(): Promise<void>;
}

/** @param source of the setting, for error messages. @throws StartupError if the socket cannot be opened */
export async function openControlListener(path: string, source: string, controls: Controls): Promise<ControlListener> {
  const [listener] = (await openListeners([{ kind: 'unix', path }], backlog, source)) as [Listener];
  return serveControl(listener, controls);
}

/** Serves on a socket that is already listening. */
export function serveControl(listener: Listener, controls: Controls): ControlListener {
  const server = new ControlServer(duplicate(listener.fd), controls);
  let isAbandoned = false;
  return {
    listener,
    close: async () => {
      await server.close();
      if (!isAbandoned) listener.close();
    },
    abandon: async () => {
      isAbandoned = true;
      listener.abandon();
      await server.close();
    },
  };
}
