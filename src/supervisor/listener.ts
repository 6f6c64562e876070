// The listening sockets: opens them for the addresses of the configuration, keeps them for as long as the server
// lives, and clears away the files of those that have one. Accepts nothing.
import { chmodSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect, isIPv4 } from 'node:net';
import { type Address, formatAddress, isIPv6 } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor } from '../os/descriptor.js';
import { SystemCallError } from '../os/libc.js';
import { addressOf, maxUnixPath, openListeningSocket, portOf } from '../os/listening-socket.js';
import { inheritedSockets } from '../os/systemd.js';

export interface Listener {
  readonly fd: number;
  /** `http://127.0.0.1:8080`, or `unix:/run/app.sock`. */
  readonly url: string;
  /** As `net.Server#address()` would tell it. */
  readonly address: AddressInfo | string;
  /** Of the file of a Unix socket; absent where there is none, or where it is not ours. */
  readonly path?: string;
  /** Closes the socket, and removes its file if that is still ours. */
  close(): void;
  /** Closes our descriptor; the socket goes on in another process. */
  abandon(): void;
}

/** @param from where the addresses were configured, in words. @param socketMode of Unix sockets. @throws StartupError; nothing is left open then. */
export async function openListeners(
  addresses: readonly Address[],
  backlog: number,
  from: string,
  socketMode = 0o600,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const address of addresses) listeners.push(await open(address, backlog, socketMode));
    return listeners;
  } catch (error) {
    for (const listener of listeners) listener.close();
    const address = formatAddress(addresses[listeners.length] as Address);
    throw new StartupError(ExitCode.boot, `cannot listen on ${address} (${from}): ${reason(error as Error)}`, {
      cause: error,
    });
  }
}

/**
 * Those that systemd has opened for us, or else our own.
 * @param systemd what it has told. @throws StartupError; nothing is left open then
 */
export async function listenersFor(
  { config, sources }: Pick<Loaded, 'config' | 'sources'>,
  systemd: NodeJS.ProcessEnv,
): Promise<readonly Listener[]> {
  const inherited = inheritedSockets(systemd);
  if (inherited.length > 0) return inheritedListeners(inherited);
  return openListeners(config.bind, config.backlog, origin(sources.bind), config.socketMode);
}

/** Listeners on sockets that systemd has opened; their files are its own. @throws StartupError */
function inheritedListeners(fds: readonly number[]): Listener[] {
  return fds.map((fd) => {
    let address: Address;
    try {
      address = addressOf(fd);
    } catch (error) {
      throw new StartupError(ExitCode.boot, `descriptor ${fd} (from LISTEN_FDS) is no listening socket`, {
        cause: error,
      });
    }
    if (address.kind === 'unix') return listener({ fd, url: formatAddress(address), address: address.path });
    const { host, port } = address;
    const family = isIPv6(host) ? 'IPv6' : 'IPv4';
    return listener({ fd, url: `http://${formatAddress(address)}`, address: { address: host, family, port } });
  });
}

async function open(address: Address, backlog: number, socketMode: number): Promise<Listener> {
  if (address.kind === 'unix') return openUnix(address, backlog, socketMode);
  const { host: name } = address;
  const host = isIPv4(name) || isIPv6(name) ? name : (await (await import('node:dns/promises')).lookup(name)).address;
  const fd = openListeningSocket({ ...address, host }, backlog);
  const family = isIPv6(host) ? 'IPv6' : 'IPv4';
  const port = portOf(fd);
  return listener({
    fd,
    url: `http://${formatAddress({ ...address, port })}`,
    address: { address: host, family, port },
  });
}

async function openUnix(address: Address & { kind: 'unix' }, backlog: number, mode: number): Promise<Listener> {
  const { path } = address;
  if (Buffer.byteLength(path) > maxUnixPath) {
    throw new Error(`the path is longer than ${maxUnixPath} bytes, which is all that a Unix socket can have`);
  }
  await clearStale(path);
  const fd = openListeningSocket(address, backlog);
  // It was made for its owner alone, so nobody slips in before this.
  if (mode !== 0o600) chmodSync(path, mode);
  return listener({ fd, url: formatAddress(address), address: path, path });
}

/** For a socket that listens, which belongs to it from now on, and so does the file at its `path`. */
export function listener(socket: Pick<Listener, 'fd' | 'url' | 'address' | 'path'>): Listener {
  const { fd, path } = socket;
  const ino = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.ino;
  const abandon = (): void => closeDescriptor(fd);
  const close = (): void => {
    abandon();
    if (path === undefined || ino === undefined) return;
    try {
      // Not if another server has put its own in its place.
      if (statSync(path).ino === ino) unlinkSync(path);
    } catch {} // it is gone already
  };
  return { ...socket, close, abandon };
}

/** Removes the socket file that a server left behind when it was killed; one that is alive stays. */
async function clearStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket())
    throw new Error('there is a file of that name that is no socket; remove it or choose another path');
  const alive = await new Promise<boolean>((answer, failed) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Refused: nobody has it open any more. Anything else (EACCES) does not tell.
      if (error.code === 'ECONNREFUSED') answer(false);
      else failed(error);
    });
  });
  if (alive) throw new Error('another server is alive on that socket; stop it or choose another path');
  unlinkSync(path);
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop the process that has it (`ss -ltnp` lists them) or choose another port',
  EACCES: 'not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE, a socket a directory one may write to',
  EADDRNOTAVAIL: 'this machine does not have that address; `ip address` lists those it has',
  ENOENT: 'the directory of the socket does not exist; create it',
  ENOTFOUND: 'the name cannot be resolved; check it, or give the address in numbers',
};

function reason(error: Error): string {
  const code = error instanceof SystemCallError ? error.code : (error as NodeJS.ErrnoException).code;
  return reasons[code ?? ''] ?? error.message;
}
