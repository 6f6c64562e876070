// The protocol between systemd and a service: sockets that systemd has opened (sd_listen_fds(3)), and datagrams with the
// state of the service (sd_notify(3)). Does nothing without systemd.
import { platform } from 'node:process';
import { closeOnExec } from './descriptor.js';
import { checked, libc } from './libc.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = platform === 'darwin' ? 0x80 : 0x40;
const firstSocketFd = 3;

const variables = [
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
] as const;

/** Removes the variables of systemd from `env`, which the app gets, and returns them. */
export function takeSystemdEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const taken = Object.fromEntries(variables.map((name) => [name, env[name]]));
  for (const name of variables) delete env[name];
  return taken;
}

/** Descriptors of the listening sockets that systemd has opened for this process, which owns them. */
export function inheritedSockets(env: NodeJS.ProcessEnv): readonly number[] {
  const { LISTEN_PID, LISTEN_FDS } = env;
  if (Number(LISTEN_PID) !== process.pid) return [];
  const fds = Array.from({ length: Number(LISTEN_FDS) || 0 }, (_, i) => firstSocketFd + i);
  for (const fd of fds) closeOnExec(fd); // workers get theirs under other numbers
  return fds;
}

/** The watchdog timeout in milliseconds; undefined if the watchdog is off. */
export function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  const ms = Number(WATCHDOG_USEC) / 1000;
  return ms > 0 ? ms : undefined;
}

export class Notifier {
  readonly #fd: number;
  readonly #address: Buffer;

  private constructor(fd: number, address: Buffer) {
    this.#fd = fd;
    this.#address = address;
  }

  /** undefined without systemd. @throws SystemCallError */
  static open({ NOTIFY_SOCKET }: NodeJS.ProcessEnv): Notifier | undefined {
    if (!NOTIFY_SOCKET || !/^[/@]./.test(NOTIFY_SOCKET)) return undefined;
    const fd = checked('socket', libc().socket(AF_UNIX, SOCK_DGRAM, 0));
    closeOnExec(fd);
    // struct sockaddr_un; a name that begins with @ is abstract: a zero byte replaces the @ (unix(7)).
    const path = Buffer.from(NOTIFY_SOCKET);
    const isAbstract = path[0] === '@'.charCodeAt(0);
    if (isAbstract) path[0] = 0;
    const address = Buffer.alloc(2 + path.length + (isAbstract ? 0 : 1));
    address.writeUInt16LE(AF_UNIX);
    path.copy(address, 2);
    return new Notifier(fd, address);
  }

  /** @param lines such as `READY=1`. Ignores errors: systemd may be gone or busy */
  notify(...lines: readonly string[]): void {
    const text = Buffer.from(lines.join('\n'));
    libc().sendto(this.#fd, text, text.length, MSG_DONTWAIT, this.#address, this.#address.length);
  }
}
