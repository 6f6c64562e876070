// The listening sockets of the server: opens them, or takes those that systemd has opened, and removes the files of
// Unix sockets. Never accepts a connection.
import { chmodSync, lchownSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect, isIPv4 } from 'node:net';
import { type Address, formatAddress, isIPv6 } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import { findSocketOwner, type Owner } from '../config/user.js';
import { ExitCode, StartupError } from '../errors.js';
import { closeDescriptor } from '../os/descriptor.js';
import { SystemCallError } from '../os/libc.js';
import { addressOf, maxUnixPath, openListeningSocket, openQueue, portOf } from '../os/listening-socket.js';
import { inheritedSockets } from '../os/systemd.js';

export interface Listener {
  readonly fd: number;
  /** Descriptors of the queues in which the kernel has clients wait, `fd` the first: one, but for `--accept reuseport`. */
  readonly queues: readonly number[];
  /** `http://127.0.0.1:8080`, or `unix:/run/app.sock`. */
  readonly url: string;
  /** As `net.Server#address()` returns it. */
  readonly address: AddressInfo | string;
  /** The file of a Unix socket that this server has created; absent for other sockets. */
  readonly path?: string;
  /**
   * The queue with this number, from 0: it is opened if need be, and stays to the end, as one that is closed takes its clients
   * along. A Unix socket, and one that systemd has opened, has one, which is every queue. @throws SystemCallError
   */
  queue(number: number): number;
  /** Closes the sockets, and removes the file unless another server has replaced it. */
  close(): void;
  /** Closes only these descriptors; the sockets stay open in another process. */
  abandon(): void;
}

/** Who may connect to Unix sockets. */
interface Access {
  readonly mode: number;
  readonly owner: Owner;
}

/**
 * @param source of the addresses, for error messages
 * @param access default: only the user of this process may connect
 * @throws StartupError if one cannot be opened; the others are closed then
 */
export async function openListeners(
  addresses: readonly Address[],
  backlog: number,
  source: string,
  access: Access = { mode: 0o600, owner: {} },
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const address of addresses) listeners.push(await open(address, backlog, access));
    return listeners;
  } catch (error) {
    for (const listener of listeners) listener.close();
    const address = formatAddress(addresses[listeners.length] as Address);
    throw new StartupError(ExitCode.boot, `cannot listen on ${address} (${source}): ${reason(error as Error)}`, {
      cause: error,
    });
  }
}

/**
 * The sockets that systemd has opened, or else new ones for `config.bind`.
 * @param systemd the environment variables of systemd
 * @throws StartupError if one cannot be opened; the others are closed then
 */
export async function listenersFor(
  { config, sources }: Pick<Loaded, 'config' | 'sources'>,
  systemd: NodeJS.ProcessEnv,
): Promise<readonly Listener[]> {
  const inherited = inheritedSockets(systemd);
  if (inherited.length > 0) return inheritedListeners(inherited);
  const { bind, backlog, socketMode: mode } = config.listening;
  const hasUnix = bind.some(({ kind }) => kind === 'unix');
  const owner = hasUnix ? findSocketOwner(config, sources) : {};
  return openListeners(bind, backlog, origin(sources.bind), { mode, owner });
}

/** The files of these sockets belong to systemd. @throws StartupError */
function inheritedListeners(fds: readonly number[]): Listener[] {
  return fds.map((fd) => {
    let address: Address;
    try {
      address = addressOf(fd);
    } catch (error) {
      throw new StartupError(ExitCode.boot, `descriptor ${fd} (from LISTEN_FDS) is not a listening socket`, {
        cause: error,
      });
    }
    const url = formatUrl(address);
    if (address.kind === 'unix') return listener({ fd, url, address: address.path });
    const { host, port } = address;
    const family = isIPv6(host) ? 'IPv6' : 'IPv4';
    return listener({ fd, url, address: { address: host, family, port }, isSystemds: true });
  });
}

async function open(address: Address, backlog: number, access: Access): Promise<Listener> {
  if (address.kind === 'unix') return openUnix(address, backlog, access);
  const { host: name } = address;
  const host = isIPv4(name) || isIPv6(name) ? name : (await (await import('node:dns/promises')).lookup(name)).address;
  const fd = openListeningSocket({ ...address, host }, backlog);
  const family = isIPv6(host) ? 'IPv6' : 'IPv4';
  const port = portOf(fd);
  return listener({
    fd,
    url: formatUrl({ ...address, port }),
    address: { address: host, family, port },
  });
}

async function openUnix(address: Address & { kind: 'unix' }, backlog: number, access: Access): Promise<Listener> {
  const { path } = address;
  if (Buffer.byteLength(path) > maxUnixPath) {
    throw new Error(`the path is longer than ${maxUnixPath} bytes, the limit for Unix sockets`);
  }
  await removeStale(path);
  const opened = listener({
    fd: openListeningSocket(address, backlog),
    url: formatUrl(address),
    address: path,
    path,
  });
  try {
    // The socket was created with mode 0600, so no other user can connect before it has its owner and group.
    const { uid = -1, gid = -1 } = access.owner;
    if (uid !== -1 || gid !== -1) lchownSync(path, uid, gid); // not what a link names that has replaced the file
    if (access.mode !== 0o600) chmodSync(path, access.mode);
    return opened;
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** `http://127.0.0.1:8080`, or `unix:/run/app.sock`. */
export function formatUrl(address: Address): string {
  return address.kind === 'unix' ? formatAddress(address) : `http://${formatAddress(address)}`;
}

/** What a server inherits of a listener. */
export interface InheritedListener extends Pick<Listener, 'fd' | 'url' | 'address' | 'path'> {
  /** A version from before them sends none: there is one, `fd`. */
  readonly queues?: readonly number[];
  /** systemd has opened it: only a process of the same user could open more queues. */
  readonly isSystemds?: boolean;
}

/** Takes ownership of a listening socket and of the file at its `path`. */
export function listener(socket: InheritedListener): Listener & InheritedListener {
  const { fd, path } = socket;
  const ino = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.ino;
  const queues = [...(socket.queues ?? [fd])];
  const hasOneQueue = socket.isSystemds || typeof socket.address === 'string';
  const queue = (number: number): number => {
    if (hasOneQueue) return fd;
    while (queues.length <= number) queues.push(openQueue(fd));
    return queues[number] as number;
  };
  const abandon = (): void => queues.forEach(closeDescriptor);
  const close = (): void => {
    abandon();
    if (path === undefined || ino === undefined) return;
    try {
      // Another server may have replaced the file.
      if (statSync(path).ino === ino) unlinkSync(path);
    } catch {} // the file no longer exists
  };
  return { ...socket, queues, queue, close, abandon };
}

/** Removes the socket file of a server that was killed. @throws Error if a server still listens on it */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new Error('the file exists and is not a socket; remove it or choose another path');
  const isInUse = await new Promise<boolean>((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Refused: no process has the socket open. Other errors (EACCES) leave it unknown.
      if (error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
  if (isInUse) throw new Error('another server is listening on this socket; stop it or choose another path');
  unlinkSync(path);
}

/** What the operator can do, by error code. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop the process that uses it (`ss -ltnp` lists them) or choose another port',
  EACCES:
    'permission denied; a port below 1024 needs root or CAP_NET_BIND_SERVICE, a Unix socket needs a writable directory',
  EADDRNOTAVAIL: 'this machine does not have this address; `ip address` lists its addresses',
  ENOENT: 'the directory of the socket does not exist; create it',
  ENOTFOUND: 'the host name cannot be resolved; check it, or use an IP address',
};

function reason(error: Error): string {
  const code = error instanceof SystemCallError ? error.code : (error as NodeJS.ErrnoException).code;
  return reasons[code ?? ''] ?? error.message;
}
