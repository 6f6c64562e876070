// Which process has the server's end of a local connection, from /proc (proc(5)). Linux only.
import { readlinkSync } from 'node:fs';
import { namesIn, readText } from './files.js';

/** The one of `pids` that has the server's end of the connection from `clientPort`; undefined if none has. */
export function ownerOf(pids: readonly number[], serverPort: number, clientPort: number): number | undefined {
  const inode = serverEnds(serverPort).get(clientPort);
  return inode === undefined ? undefined : pids.find((pid) => socketsOf(pid).has(inode));
}

/** Those of `clientPorts` whose connections `pid` has the server's ends of. */
export function ownedBy(pid: number, serverPort: number, clientPorts: readonly number[]): readonly number[] {
  const ends = serverEnds(serverPort);
  const sockets = socketsOf(pid);
  return clientPorts.filter((port) => sockets.has(ends.get(port) ?? ''));
}

/** The inode of the server's end by client port; IPv4 only. */
function serverEnds(serverPort: number): ReadonlyMap<number, string> {
  const ends = new Map<number, string>();
  for (const line of readText('/proc/net/tcp').split('\n').slice(1)) {
    const [, local = '', remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/);
    if (portOf(local) === serverPort) ends.set(portOf(remote), inode);
  }
  return ends;
}

/** `0100007F:1F90` */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}

function socketsOf(pid: number): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const fd of namesIn(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

/** '' if the descriptor was closed meanwhile. */
function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
