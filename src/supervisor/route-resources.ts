// What the workers of each route have for themselves: the socket on which requests reach them, the channel over which their
// connections migrate, and the memory that they share. It lasts as long as the server.
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findOwner } from '../config/user.js';
import { Queues } from '../connection/queues.js';
import { ServerMemory } from '../memory/server-memory.js';
import { closeMigrationChannel } from '../migration/channel.js';
import { SlotRanges } from '../overload/slot-ranges.js';
import type { Settings } from './changes.js';
import { openListeners } from './listener.js';
import { openChannelOrWarn } from './migration.js';
import type { ResourcesOfRoute, RouteResources, ServerResources } from './resources.js';

/** @param common what all workers of the server have. @throws StartupError */
export async function openRoutes(
  { config, sources, routes }: Settings,
  common: Omit<ServerResources, 'routes'>,
): Promise<RouteResources> {
  const all = new Map<string, ResourcesOfRoute>();
  const closing: (() => void)[] = [];
  const get = (match: string): ResourcesOfRoute => all.get(match) as ResourcesOfRoute;
  const close = (): void => {
    for (const end of closing.splice(0).reverse()) end();
  };
  if (routes.length === 0) return { get, close };
  const owner = findOwner(config.processes, sources);
  const { uid = -1, gid = -1 } = owner;
  const folder = privateFolder();
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  try {
    if (uid !== -1 || gid !== -1) chownSync(folder, uid, gid);
    for (const [i, { match }] of routes.entries()) {
      const file = path.join(folder, String(i));
      const { backlog } = config.listening;
      const listeners = await openListeners([{ kind: 'unix', path: file }], backlog, 'routes', { mode: 0o600, owner });
      const memory = new ServerMemory();
      const migrationChannel = openChannelOrWarn(config.lifecycle, common.events);
      closing.push(() => {
        for (const listener of listeners) listener.close();
        memory.close();
        if (migrationChannel) closeMigrationChannel(migrationChannel);
      });
      all.set(match, {
        ...common,
        path: file,
        listeners,
        queues: new Queues(listeners.flatMap(({ queues }) => queues)),
        accessLog: undefined, // the line of a request is written where its connection is
        migrationChannel,
        memory,
        slots: new SlotRanges((start, bytes) => memory.clear('places', start, bytes)),
        accepted: { count: 0 },
      });
    }
  } catch (error) {
    close();
    throw error;
  }
  return { get, close };
}

/** @returns one with mode 0700, where the workers' user can get to, and on a read-only file system, too */
function privateFolder(): string {
  const [parent = tmpdir()] = ['/dev/shm'].filter((one) => existsSync(one));
  return mkdtempSync(path.join(parent, 'mpserve-'));
}
