// The channel over which connections migrate between workers and servers: a listening Unix socket without a name, so that
// only processes that have inherited its descriptors can connect to it. The sender of a connection connects and sends one
// message; every acceptor accepts there as well. A message waits in the kernel and survives the worker that sent it.
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { arch, platform } from 'node:process';
import { closeDescriptor, duplicateAll } from '../os/descriptor.js';
import { checked, libc, type SystemCallError } from '../os/libc.js';
import { type SentFacts, sendMessage } from '../os/rights-message.js';
import { encodePath } from '../os/socket-address.js';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from '../os/socket-constants.js';
import { type Credits, countMigrated, offerCredits } from './credits.js';

/** Descriptors, as plain data. */
export interface MigrationChannel extends Credits {
  /** Of the listening socket, to receive connections. */
  readonly fd: number;
  /** Of the file that the socket had (O_PATH), to connect to it. */
  readonly path: number;
}

/** Elsewhere connections do not migrate: the structures that are written here are those of these systems. */
export const hasMigration = platform === 'linux' && (arch === 'x64' || arch === 'arm64');

/** Messages that may wait to be accepted; credits keep them fewer. */
export const channelBacklog = 128;

const SOCK_NONBLOCK = 0o4000;
const socketType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
const O_PATH = 0o10000000;
const EFD_COUNTER = 0o2000000 | 0o4000; // EFD_CLOEXEC, EFD_NONBLOCK
const EFD_SEMAPHORE = 1;
/** The first one is there in containers with a read-only file system, too. */
const folders = ['/dev/shm', tmpdir()];

/** @throws SystemCallError (EMFILE), Error where there is no folder for the socket's file */
export function openMigrationChannel(): MigrationChannel {
  const { socket, listen, eventfd } = libc();
  if (!hasMigration || !eventfd) throw new Error('connections can migrate on Linux only');
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const fd = keep(checked('socket', socket(AF_UNIX, socketType, 0)));
    const path = keep(bindWithoutName(fd));
    checked('listen', listen(fd, channelBacklog));
    const credits = keep(checked('eventfd', eventfd(0, EFD_SEMAPHORE | EFD_COUNTER)));
    const migrated = checked('eventfd', eventfd(0, EFD_COUNTER));
    return { fd, path, credits, migrated };
  } catch (error) {
    for (const fd of opened) closeDescriptor(fd);
    throw error;
  }
}

export function closeMigrationChannel({ fd, path, credits, migrated }: MigrationChannel): void {
  closeDescriptor(fd);
  closeDescriptor(credits);
  if (migrated !== undefined) closeDescriptor(migrated);
  closeSync(path); // as it was opened
}

/**
 * The same listening sockets and the same channel, with descriptors that belong to an acceptor.
 * @throws SystemCallError (EMFILE); no descriptor is left then
 */
export function duplicateForAcceptor(listen: readonly number[], channel: MigrationChannel | undefined) {
  const fds = duplicateAll(channel ? [...listen, channel.fd] : listen);
  return {
    listen: fds.slice(0, listen.length),
    migrationChannel: channel && { ...channel, fd: fds.at(-1) as number },
  };
}

/**
 * Sends a connection, for which a credit has been taken. The descriptor stays the caller's, to be closed.
 * @param facts go along
 * @returns `full` when no receiver could take it now, `closed` when none ever will
 */
export function sendConnection(channel: MigrationChannel, fd: number, facts: SentFacts): 'sent' | 'full' | 'closed' {
  const { socket, connect } = libc();
  const sending = socket(AF_UNIX, socketType, 0);
  if (sending < 0) {
    offerCredits(channel, 1);
    return 'full'; // no descriptor is left; there may be one later
  }
  try {
    const address = encodePath(`/proc/self/fd/${channel.path}`);
    checked('connect', connect(sending, address, address.length));
    // The receiver that gave up waiting for this message offers its credit again.
    if (!sendMessage(sending, fd, facts)) return 'full';
    countMigrated(channel);
    return 'sent';
  } catch (error) {
    if ((error as SystemCallError).code !== 'EAGAIN') return 'closed';
    offerCredits(channel, 1);
    return 'full';
  } finally {
    closeDescriptor(sending);
  }
}

/**
 * The socket has a file, in a folder that only its owner may enter, until it is bound: no other process can connect to it.
 * @returns a descriptor of the file
 */
function bindWithoutName(fd: number): number {
  let failure: unknown;
  for (const parent of folders) {
    try {
      const folder = mkdtempSync(path.join(parent, 'mpserve-')); // mode 0700
      const file = path.join(folder, 'migration');
      try {
        const address = encodePath(file);
        checked('bind', libc().bind(fd, address, address.length));
        chmodSync(file, 0o666); // workers may have another user; to connect takes the descriptor
        return openSync(file, O_PATH);
      } finally {
        rmSync(folder, { recursive: true });
      }
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
