// The listening socket of a server for operators (control, admin), and the server on it. Both move to the successor at an
// upgrade.
import { duplicate } from '../os/descriptor.js';
import type { InheritedListener, Listener } from './listener.js';

export interface OperatorListener {
  readonly listener: Listener & InheritedListener;
  close(): Promise<void>;
  /** Stops serving, but leaves the socket and its file to the successor. */
  abandon(): Promise<void>;
}

/** @param serve accepts on a descriptor that is its own */
export function serveOperators(
  listener: Listener,
  serve: (fd: number) => { close(): Promise<void> },
): OperatorListener {
  const server = serve(duplicate(listener.fd));
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
