// The TCP ports on which a process listens, from /proc (proc(5)); none when it has ended.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

const listening = '0A';

export function listeningPorts(pid: number): number[] {
  try {
    return portsOf(pid);
  } catch (error) {
    if (existsSync(`/proc/${pid}`)) throw error;
    return [];
  }
}

function portsOf(pid: number): number[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode) inodes.add(inode);
    } catch {} // closed meanwhile
  }
  const rows = ['tcp', 'tcp6'].flatMap((file) => readFileSync(`/proc/${pid}/net/${file}`, 'utf8').trim().split('\n'));
  const ports = rows.flatMap((row) => {
    const [, address = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    return state === listening && inodes.has(inode) ? [Number.parseInt(address.split(':')[1] ?? '', 16)] : [];
  });
  return [...new Set(ports)];
}
