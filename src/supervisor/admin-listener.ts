// The admin server on the address of --admin, and what it shows.
import { readFileSync, statSync } from 'node:fs';
import { AdminServer } from '../admin/server.js';
import { readSite } from '../admin/site.js';
import { TokenCheck } from '../admin/token.js';
import type { Address } from '../config/address.js';
import { origin } from '../config/source.js';
import type { Act } from '../control/perform.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { RareReport } from '../rare-report.js';
import type { Settings } from './changes.js';
import { type Listener, openListeners } from './listener.js';
import type { Monitoring } from './monitoring.js';
import { type OperatorListener, serveOperators } from './operator-listener.js';

export { CountedMemory } from './counted-memory.js';
export { Monitoring } from './monitoring.js';

/** Scrapers that the kernel queues. */
const backlog = 511;

/** Wrong tokens are logged this often (milliseconds). */
const reportMs = 60_000;

/** What is longer is no token (bytes). */
const maxTokenBytes = 4096;

/** @throws StartupError if the socket cannot be opened */
export async function openAdminSocket(address: Address, { sources }: Settings): Promise<Listener> {
  const [listener] = (await openListeners([address], backlog, origin(sources.admin))) as [Listener];
  return listener;
}

/** Serves on a socket that is already listening. @throws StartupError if the token cannot be read */
export function serveAdmin(
  listener: Listener,
  monitoring: Monitoring,
  act: Act,
  settings: Settings,
  events: Events,
): OperatorListener {
  const token = readToken(settings);
  const wrong = new RareReport<string>(reportMs, (count, address) =>
    events.tell({ event: 'admin-refused', count, address }),
  );
  const check = token === undefined ? undefined : new TokenCheck(token, (address) => wrong.add(address));
  const { pages, feed } = monitoring;
  const isUnix = typeof listener.address === 'string';
  const served = serveOperators(
    listener,
    (fd) => new AdminServer(fd, { pages, site: readSite(), feed, act, token: check, isUnix }),
  );
  events.tell({ event: 'admin-ready', url: listener.url });
  return served;
}

/** @throws StartupError that says how to make the file */
function readToken({ config, sources }: Settings): string | undefined {
  const { adminTokenFile: file } = config.server;
  if (file === undefined) return undefined;
  const failed = (reason: string): StartupError =>
    new StartupError(
      ExitCode.config,
      `cannot read the token in ${file} (${origin(sources.adminTokenFile)}): ${reason}`,
    );
  let text: string;
  try {
    const { size, mode } = statSync(file);
    if (size > maxTokenBytes) throw failed(`it is longer than ${maxTokenBytes} bytes`);
    if (mode & 0o004) throw failed('every user of this machine can read it; chmod 600 it');
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw error instanceof StartupError ? error : failed((error as Error).message);
  }
  if (!/^\S{16,}$/.test(text))
    throw failed('a token has at least 16 characters and no white space; make one with: openssl rand -hex 32');
  return text;
}
