// The connections of one client to the workers of routes: each begins with a header that names the client
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, section 2.1).
import { Agent, type ClientRequest } from 'node:http';
import { connect, isIPv4, isIPv6, type Socket } from 'node:net';
import { now } from '../clock.js';
import type { Target } from './target.js';

/** The workers of a route. */
type Upstream = Pick<Target, 'path' | 'idleMs'>;

const key = Symbol('mpserve.agents');
type Keyed = Socket & { [key]?: Map<string, UpstreamAgent> };

/** Keeps one connection, as the requests of a client follow one another. */
class UpstreamAgent extends Agent {
  readonly #path: string;
  readonly #header: string;
  readonly #idleMs: number;
  /** Since when no request has been under way (`clock.ts`). */
  #idleSince = 0;

  constructor({ path, idleMs }: Upstream, header: string) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#path = path;
    this.#header = header;
    this.#idleMs = idleMs;
  }

  override createConnection(): Socket {
    return open(this.#path, this.#header);
  }

  // In place of what Node sets on the socket at each request, and a Unix socket does not need.
  override keepSocketAlive(): boolean {
    this.#idleSince = now();
    if (this.#idleMs > 0) watchIdle(this);
    return true;
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    idleAgents.delete(this);
  }

  override destroy(): void {
    idleAgents.delete(this);
    super.destroy();
  }

  closeIfIdle(): void {
    if (now() - this.#idleSince >= this.#idleMs) this.destroy();
  }
}

const idleAgents = new Set<UpstreamAgent>();
/** Between two looks for connections that have been idle for too long (milliseconds). */
const lookEveryMs = 1000;
let looking: NodeJS.Timeout | undefined;

/** A process without idle connections has no timer, which would wake it up. */
function watchIdle(agent: UpstreamAgent): void {
  idleAgents.add(agent);
  looking ??= setInterval(() => {
    for (const one of idleAgents) one.closeIfIdle();
    if (idleAgents.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  }, lookEveryMs).unref();
}

function open(path: string, header: string, allowHalfOpen = false): Socket {
  const socket = connect({ path, allowHalfOpen });
  socket.write(header, 'latin1');
  return socket;
}

/** @param client its connection */
export function agentOf(client: Socket, upstream: Upstream): Agent {
  const { path } = upstream;
  const keyed = client as Keyed;
  let agents = keyed[key];
  if (!agents) {
    const all = new Map<string, UpstreamAgent>();
    keyed[key] = all;
    agents = all;
    client.once('close', () => {
      for (const agent of all.values()) agent.destroy();
    });
  }
  let agent = agents.get(path);
  if (!agent) {
    agent = new UpstreamAgent(upstream, proxyLine(client));
    agents.set(path, agent);
  }
  return agent;
}

/** For a client that goes on in another protocol. */
export function connectionFor(client: Socket, path: string): Socket {
  return open(path, proxyLine(client), true);
}

/** The client as an app sees it, which may be the one that a proxy has named. */
function proxyLine({ remoteAddress = '', remotePort, localAddress = '', localPort }: Socket): string {
  const [from, to] = [remoteAddress, localAddress].map((address) => address.replace(/%.*$/, ''));
  for (const [family, isAddress] of [
    ['TCP4', isIPv4],
    ['TCP6', isIPv6],
  ] as const) {
    if (!isAddress(from as string)) continue;
    // A proxy may have named a client of the other family.
    const here = isAddress(to as string) ? to : family === 'TCP4' ? '0.0.0.0' : '::';
    return `PROXY ${family} ${from} ${here} ${remotePort ?? 0} ${localPort ?? 0}\r\n`;
  }
  return 'PROXY UNKNOWN\r\n';
}
