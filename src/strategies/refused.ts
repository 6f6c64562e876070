// Where the supervisor accepts, it tells itself what came over the migration channel that none of ours sends.
import type { Events } from '../events.js';
import type { OnRefused } from '../migration/receiver.js';

export function refusedTo(events: Events): OnRefused {
  return (count, { pid: senderPid, uid: senderUid }) =>
    events.tell({ event: 'migration-refused', pid: process.pid, tid: 0, count, senderPid, senderUid });
}
