// Answers what this event loop is doing (`scoreboard/loop-view`). Loaded at the first look.
import { nameOf } from '../client/peer.js';
import { now } from '../clock.js';
import { type LoopState, type LoopView, maxRequestViews, type RequestView } from '../scoreboard/loop-view.js';
import type { Connection } from './connection.js';
import { LoopWatch } from './loop-watch.js';

export interface LoopParts {
  readonly connections: Iterable<Connection>;
  readonly isDraining: boolean;
  readonly requests: number;
  /** Bytes of connections that have closed. */
  readonly closed: { readonly received: number; readonly sent: number };
  readonly last: LoopView['last'];
}

export class LoopViewer {
  readonly #watch = new LoopWatch();

  view({ connections: all, isDraining, requests, closed, last }: LoopParts): Omit<LoopView, 'tid'> {
    const time = now();
    const connections = [...all].filter(({ isOwn }) => !isOwn);
    const busy = connections.filter((connection) => !connection.betweenRequests);
    const oldest = busy
      .flatMap((connection) => viewOf(connection, time) ?? [])
      .sort((a, b) => b.ageMs - a.ageMs)
      .slice(0, maxRequestViews);
    return {
      state: isDraining ? 'draining' : stateOf(connections, busy),
      connections: connections.length,
      requests,
      inFlight: busy.length,
      oldest,
      ...(last && { last }),
      received: connections.reduce((sum, { socket }) => sum + socket.bytesRead, closed.received),
      sent: connections.reduce((sum, { socket }) => sum + socket.bytesWritten, closed.sent),
      ...this.#watch.look(),
    };
  }
}

function viewOf(connection: Connection, time: number): RequestView | undefined {
  const request = connection.inFlight(time);
  return request && { ...request, client: nameOf(connection.client) };
}

function stateOf(connections: readonly Connection[], busy: readonly Connection[]): LoopState {
  if (connections.length === 0) return 'idle';
  if (busy.length === 0) return 'keep-alive';
  const states = new Set(busy.map(stateOfRequest));
  return states.has('working') ? 'working' : states.has('writing') ? 'writing' : 'reading';
}

/** A connection in another protocol, such as WebSocket, has a response that does not end. */
function stateOfRequest({ response }: Connection): LoopState {
  if (!response || response.headersSent) return 'writing';
  return response.req.complete ? 'working' : 'reading';
}
