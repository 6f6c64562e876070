// The processes of a session (credentials(7)): all descendants of its leader, even those whose parents have exited.
import { readdirSync, readFileSync } from 'node:fs';

/** @returns the pids of the processes in the session of `leader`, without zombies */
export function membersOf(leader) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => sessionOf(pid) === leader);
}

function sessionOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields 3 and 6 (proc(5)), counted from after the name in parentheses, which may contain anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : Number(fields[3]);
  } catch (error) {
    // The process has exited since /proc was listed.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
}
