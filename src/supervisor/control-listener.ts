// The control server on its Unix socket.
import type { Pages } from '../admin/pages.js';
import { ControlServer, type Controls } from '../control/server.js';
import { type Listener, openListeners } from './listener.js';
import { type OperatorListener, serveOperators } from './operator-listener.js';

/** Control clients that the kernel queues. */
const backlog = 16;

/** @param source of the setting, for error messages. @throws StartupError if the socket cannot be opened */
export async function openControlListener(
  path: string,
  source: string,
  controls: Controls,
  pages: () => Pages,
): Promise<OperatorListener> {
  const [listener] = (await openListeners([{ kind: 'unix', path }], backlog, source)) as [Listener];
  return serveControl(listener, controls, pages);
}

/** Serves on a socket that is already listening. */
export function serveControl(listener: Listener, controls: Controls, pages: () => Pages): OperatorListener {
  return serveOperators(listener, (fd) => new ControlServer(fd, controls, pages));
}
