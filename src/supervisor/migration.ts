// Whether connections can migrate on this system and this Node. The server serves without it as well.
import type { Config } from '../config/config.js';
import type { Events } from '../events.js';
import { hasMigration, type MigrationChannel, openMigrationChannel } from '../migration/channel.js';
import { unsupportedInternals } from '../os/node-socket.js';
import type { Strategy } from '../strategies/strategy.js';

/** @returns undefined where there is no channel, and connections do not migrate */
export function openChannelOrWarn({ migrate }: Config['lifecycle'], events: Events): MigrationChannel | undefined {
  if (!hasMigration) return undefined;
  try {
    return openMigrationChannel();
  } catch (error) {
    const warning = `connection migration is off: cannot create its socket (${(error as Error).message})`;
    if (migrate) events.tell({ event: 'warning', warning });
    return undefined;
  }
}

/** Turns migration off if the internals of Node that it uses are not as expected. */
export async function checkMigrationSupport(strategy: Strategy, events: Events): Promise<void> {
  const reason = await unsupportedInternals();
  if (reason === undefined) return;
  strategy.setMigration({ send: 'off' });
  const warning = `connection migration is off: the internals of Node ${process.version} are not supported (${reason})`;
  events.tell({ event: 'warning', warning });
}
