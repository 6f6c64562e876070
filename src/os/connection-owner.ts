// Which process has the server's end of a connection on this machine, from /proc (proc(5)). Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Of `pids`, who has the server's end of the connection from `clientPort` to `serverPort`; undefined if none has. */
export function ownerOf(pids: readonly number[], serverPort: number, clientPort: number): number | undefined {
  const inode = serverEnds(serverPort).get(clientPort);
  return inode === undefined ? undefined : pids.find((pid) => socketsOf(pid).has(inode));
}

/** Those of `clientPorts` whose connections to `serverPort` end in `pid`. */
export function ownedBy(pid: number, serverPort: number, clientPorts: readonly number[]): readonly number[] {
  const ends = serverEnds(serverPort);
  const held = socketsOf(pid);
  return clientPorts.filter((port) => held.has(ends.get(port) ?? ''));
}

/** The inode of the server's end, by the port of the client; connections of IPv4. */
function serverEnds(serverPort: number): ReadonlyMap<number, string> {
  const ends = new Map<number, string>();
  for (const line of read('/proc/net/tcp').split('\n').slice(1)) {
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
  for (const fd of list(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

// A process may go, and a descriptor be closed, between a look and the next.
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
