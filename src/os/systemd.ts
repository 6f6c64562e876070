// What systemd says to a service and hears from it: sockets that it has opened (sd_listen_fds(3)), and datagrams on how
// the service is (sd_notify(3)). Without systemd around it, all of it is nothing.
import { platform } from 'node:process';
import { closeOnExec } from './descriptor.js';
import { checked, libc } from './libc.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = platform === 'darwin' ? 0x80 : 0x40;
const firstSocket = 3;

/** What it tells a service in. */
const variables = [
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
] as const;

/** Takes what systemd has said out of the environment: it is not for the app. */
export function takeSystemd(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const told = Object.fromEntries(variables.map((name) => [name, env[name]]));
  for (const name of variables) delete env[name];
  return told;
}

/** Descriptors of listening sockets that were opened for this process, which belong to it; none if it was not started so. */
export function inheritedSockets(env: NodeJS.ProcessEnv): readonly number[] {
  const { LISTEN_PID, LISTEN_FDS } = env;
  if (Number(LISTEN_PID) !== process.pid) return [];
  const fds = Array.from({ length: Number(LISTEN_FDS) || 0 }, (_, i) => firstSocket + i);
  for (const fd of fds) closeOnExec(fd); // workers are given theirs in places of their own
  return fds;
}

/** Milliseconds within which systemd wants to hear that we live; undefined if it does not care. */
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

  /** undefined where nobody listens. @throws SystemCallError */
  static open({ NOTIFY_SOCKET }: NodeJS.ProcessEnv): Notifier | undefined {
    if (!NOTIFY_SOCKET || !/^[/@]./.test(NOTIFY_SOCKET)) return undefined;
    const fd = checked('socket', libc().socket(AF_UNIX, SOCK_DGRAM, 0));
    closeOnExec(fd);
    // struct sockaddr_un; a name that begins with @ is abstract, which is a zero byte in its place (unix(7)).
    const path = Buffer.from(NOTIFY_SOCKET);
    const isAbstract = path[0] === '@'.charCodeAt(0);
    if (isAbstract) path[0] = 0;
    const address = Buffer.alloc(2 + path.length + (isAbstract ? 0 : 1));
    address.writeUInt16LE(AF_UNIX);
    path.copy(address, 2);
    return new Notifier(fd, address);
  }

  /** Says it, `READY=1` for example, a line each. That nobody hears it, or not now, is no error. */
  say(...lines: readonly string[]): void {
    const text = Buffer.from(lines.join('\n'));
    libc().sendto(this.#fd, text, text.length, MSG_DONTWAIT, this.#address, this.#address.length);
  }
}
