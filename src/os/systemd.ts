// The protocol between systemd and a service: sockets that systemd has opened (sd_listen_fds(3)), and datagrams with the
// state of the service (sd_notify(3)). Does nothing without systemd.
import { closeOnExec } from './descriptor.js';
import { checked, libc } from './libc.js';
import { encodePath } from './socket-address.js';
import { AF_UNIX, MSG_DONTWAIT } from './socket-constants.js';

const SOCK_DGRAM = 2;
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

/**
 * @returns a function that sends lines such as `READY=1` and ignores errors, as systemd may be gone or busy; undefined
 * without systemd. @throws SystemCallError
 */
export function openNotifier({ NOTIFY_SOCKET }: NodeJS.ProcessEnv) {
  if (!NOTIFY_SOCKET || !/^[/@]./.test(NOTIFY_SOCKET)) return undefined;
  const fd = checked('socket', libc().socket(AF_UNIX, SOCK_DGRAM, 0));
  closeOnExec(fd);
  let address = encodePath(NOTIFY_SOCKET);
  if (NOTIFY_SOCKET.startsWith('@')) {
    // An abstract name: a zero byte replaces the @, and none ends it (unix(7)).
    address[2] = 0;
    address = address.subarray(0, -1);
  }
  return (...lines: readonly string[]): void => {
    const text = Buffer.from(lines.join('\n'));
    libc().sendto(fd, text, text.length, MSG_DONTWAIT, address, address.length);
  };
}
