// Events for the app's own http.Server, which gets no connection: those of the pipeline's server are forwarded to its
// listeners. A forwarding listener exists only while the app has one, because Node behaves differently without a listener.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WorkerEvent } from '../events.js';
import type { AdoptingServer } from './adopting-server.js';
import { cutFailed } from './failures.js';
import type { PipelineResponse } from './response.js';
import type { Handler } from './stage.js';
import type { Upgrades } from './upgrades.js';

export interface ForwardingOptions {
  readonly server: AdoptingServer;
  readonly appServer: Server;
  /** @returns a 'request' listener that passes the request through the stages to `app` */
  readonly listenerFor: (app: Handler) => (req: IncomingMessage, res: PipelineResponse) => void;
  readonly upgrades: Upgrades;
  readonly tell: (event: WorkerEvent) => void;
}

export function forwardEvents({ server, appServer, listenerFor, upgrades, tell }: ForwardingOptions): void {
  const nodeListeners = server.rawListeners('connection');
  // Like `emit`, but awaits async listeners, so that rejections are caught.
  const call = async (name: string, ...args: unknown[]): Promise<void> => {
    const listeners = appServer.rawListeners(name).filter((listener) => !nodeListeners.includes(listener));
    await Promise.all(listeners.map((listener) => listener.apply(appServer, args)));
  };
  const forwardRequest = (name: string) =>
    listenerFor((req, res) => {
      res.isInApp = true;
      return call(name, req, res);
    });
  const forwardUpgrade = (name: 'upgrade' | 'connect') => (req: IncomingMessage, socket: Duplex, head: Buffer) =>
    upgrades.begin(name, req, socket, () => call(name, req, socket, head));
  const forwards: Readonly<Record<string, (...args: never[]) => void>> = {
    upgrade: forwardUpgrade('upgrade'),
    connect: forwardUpgrade('connect'),
    checkContinue: forwardRequest('checkContinue'),
    checkExpectation: forwardRequest('checkExpectation'),
    clientError: (error: Error, socket: Duplex) => call('clientError', error, socket).catch(cutFailed(tell, socket)),
    connection: (socket: Socket) => call('connection', socket).catch(cutFailed(tell, socket)),
    timeout: (socket: Socket) => call('timeout', socket).catch(cutFailed(tell, socket)),
    dropRequest: (req: IncomingMessage, socket: Socket) =>
      call('dropRequest', req, socket).catch(cutFailed(tell, socket)),
  };
  const update = (name: string, hasListener: boolean): void => {
    const forward = forwards[name] as (() => void) | undefined;
    if (!forward) return;
    server.removeListener(name, forward);
    if (hasListener) server.on(name, forward);
  };
  for (const name of Object.keys(forwards)) update(name, appServer.listenerCount(name) > 0);
  appServer.on('newListener', (name) => update(String(name), true));
  appServer.on('removeListener', (name) => update(String(name), appServer.listenerCount(name) > 0));
}
