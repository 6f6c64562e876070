// Opens the sockets of the app's secondary servers for the workers, as the workers' user could, and hands them on to a
// successor. Never accepts a connection.
import { chmodSync, readFileSync } from 'node:fs';
import { type Address, isIPv6 } from '../config/address.js';
import { closeDescriptor } from '../os/descriptor.js';
import { SystemCallError } from '../os/libc.js';
import { maxUnixPath, openListeningSocket, portOf } from '../os/listening-socket.js';
import { keepSecondName, removeSecondName } from '../os/socket-file.js';
import type { SecondaryAddress, SecondaryAnswer } from '../secondary/address.js';
import { SharedSockets, type SocketUser } from '../secondary/shared-sockets.js';
import type { ProcessOptions } from '../worker/fork.js';
import { formatUrl, type Listener, listener } from './listener.js';

/** As a successor gets it. Other versions of mpserve read it, so fields keep their names. */
export type InheritedSecondary = Pick<Listener, 'fd' | 'url' | 'address' | 'path'> & {
  readonly request: SecondaryAddress;
};

/** As Node does, if the app does not say otherwise; each worker that listens sets it to what its app says. */
const backlog = 511;

export class SecondaryListeners {
  readonly #listeners = new Map<Listener, SecondaryAddress>();
  readonly #served: () => readonly Pick<Listener, 'address'>[];
  readonly #sockets = new SharedSockets((address, told) => {
    try {
      const opened = open(address);
      this.#listeners.set(opened, address);
      told(opened);
      return () => this.#close(opened);
    } catch (error) {
      told(refused(address, codeOf(error), this.#served()));
      return () => {};
    }
  });

  /**
   * @param inherited from a server whose workers are of `generation`
   * @param served the sockets on which the app's main server is served
   */
  constructor(
    inherited: readonly InheritedSecondary[],
    generation: number,
    served: () => readonly Pick<Listener, 'address'>[],
  ) {
    this.#served = served;
    for (const { request, ...socket } of inherited) {
      const adopted = listener(socket);
      this.#listeners.set(adopted, request);
      this.#sockets.adopt(request, adopted, generation, () => this.#close(adopted));
    }
  }

  /** @param owner the user of the workers, who may be less privileged than the supervisor */
  listen(user: SocketUser, id: number, address: SecondaryAddress, owner: ProcessOptions['owner']): void {
    const refused = refusal(address, owner);
    if (refused) user.answerSocket(id, refused);
    else this.#sockets.listen(user, id, address);
  }

  unlisten(user: SocketUser, id: number, isClosed: boolean): void {
    this.#sockets.unlisten(user, id, isClosed);
  }

  /** From now on this generation serves: closes the sockets that no worker of it listens on. */
  keepOnly(generation: number): void {
    this.#sockets.keepOnly(generation);
  }

  /** For a successor. */
  get inheritable(): readonly InheritedSecondary[] {
    return [...this.#listeners].map(([{ fd, url, address, path }, request]) => ({
      fd,
      url,
      address,
      ...(path !== undefined && { path }),
      request,
    }));
  }

  close(): void {
    this.#sockets.close();
  }

  /** Closes only our descriptors; the sockets stay open in the successor. */
  abandon(): void {
    for (const one of this.#listeners.keys()) one.abandon();
    this.#listeners.clear();
    this.#sockets.close();
  }

  #close(one: Listener): void {
    if (!this.#listeners.delete(one)) return;
    one.close();
    if (one.path !== undefined) removeSecondName(one.path);
  }
}

/** @throws SystemCallError, or an error of the file system */
function open(address: SecondaryAddress): Listener {
  if (address.kind === 'unix') {
    const { path, mode } = address;
    if (Buffer.byteLength(path) > maxUnixPath) throw new SystemCallError('EINVAL', 'bind');
    const fd = openListeningSocket(address, backlog);
    chmodSync(path, mode);
    keepSecondName(path);
    return listener({ fd, url: formatUrl(address), address: path, path });
  }
  const { port, host, ipv6Only } = address;
  if (host !== undefined) return openTcp({ kind: 'tcp', host, port }, ipv6Only);
  try {
    return openTcp({ kind: 'tcp', host: '::', port }, ipv6Only);
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') throw error;
    return openTcp({ kind: 'tcp', host: '0.0.0.0', port }); // as Node does where there is no IPv6
  }
}

function openTcp(address: Address & { kind: 'tcp' }, ipv6Only?: boolean): Listener {
  const { host } = address;
  const fd = openListeningSocket(address, backlog, { ipv6Only });
  try {
    const port = portOf(fd);
    const family = isIPv6(host) ? 'IPv6' : 'IPv4';
    return listener({ fd, url: formatUrl({ ...address, port }), address: { address: host, family, port } });
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Says so when it is this server that uses the port: the app's message alone would name any other process. */
function refused(
  address: SecondaryAddress,
  code: string,
  served: readonly Pick<Listener, 'address'>[],
): SecondaryAnswer {
  if (code !== 'EADDRINUSE' || address.kind === 'unix') return { code };
  const { port } = address;
  const isOurs = served.some((one) => typeof one.address === 'object' && one.address.port === port);
  if (!isOurs) return { code };
  const reason =
    `mpserve itself listens on port ${port}, and serves another server of the app there; ` +
    `serve this one with --serve ${port}, or have it listen on a port that is not that of PORT or --bind`;
  return { code, reason };
}

/** What the workers' user may not open, the supervisor does not open for it. */
function refusal(address: SecondaryAddress, { uid }: ProcessOptions['owner']): SecondaryAnswer | undefined {
  if (uid === undefined || uid === 0 || process.getuid?.() !== 0) return undefined;
  if (address.kind === 'unix') {
    const reason =
      'with --user, mpserve opens no Unix socket for the app; listen with { exclusive: true }, or on a port';
    return { code: 'EACCES', reason };
  }
  return address.port > 0 && address.port < firstUnprivilegedPort() ? { code: 'EACCES' } : undefined;
}

/** https://docs.kernel.org/networking/ip-sysctl.html */
function firstUnprivilegedPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1'));
  } catch {
    return 1024;
  }
}

function codeOf(error: unknown): string {
  return (error as SystemCallError | NodeJS.ErrnoException).code ?? 'EINVAL';
}
