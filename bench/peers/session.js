// The processes of a session (credentials(7)): all that its leader has started, wherever their parents have gone.
import { readdirSync, readFileSync } from 'node:fs';

/** @returns the pids of the processes in the session that `leader` began, zombies left out. */
export function membersOf(leader) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => sessionOf(pid) === leader);
}

function sessionOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, so count from behind it: fields 3 and 6 (proc(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : Number(fields[3]);
  } catch (error) {
    // It has ended between the listing and the look.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
}
