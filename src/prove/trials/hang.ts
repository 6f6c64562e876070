// A blocked event loop: mpserve must end and replace the worker or thread, and only what ran on it may break.
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import { faultEnv, faultSettings, lostWithThread, sendFault } from '../fault-request.js';
import { reconnectMs, type Trial, type TrialContext, untilSettled } from '../trial.js';

/** The server's `--hang-timeout` (milliseconds). */
const hangTimeoutMs = 2000;
/** Between two counts of the connections of the blocked process (milliseconds). */
const countIntervalMs = 100;
/** After it has detected the hang, the server must end the worker or thread within this time (milliseconds). */
const endTimeoutMs = 30_000;

export const hang: Trial = {
  name: 'hang',
  summary: `block an event loop; mpserve must replace the worker or thread after ${hangTimeoutMs / 1000} s`,
  settings: (userSettings) => ({ hangTimeout: `${hangTimeoutMs}ms`, ...faultSettings(userSettings) }),
  env: faultEnv,
  async run(context) {
    const { server, facts, sleep } = context;
    const { port, over } = await sendFault(context, 'hang');
    const detected = server.waitForEvent('hung').then(() => true as const);
    detected.catch(() => {}); // awaited below, unless something else fails before
    // On a slow machine one count may come before the event loop is blocked, and the next after the process has ended.
    let onProcess = 0;
    do onProcess = Math.max(onProcess, await connectionsOfBlockedProcess(context, port));
    while (!(await Promise.race([detected, sleep(countIntervalMs)])));
    const hasEnded = await Promise.race([over, sleep(endTimeoutMs)]);
    if (!hasEnded) throw new Error(`the server did not end the blocked worker within ${endTimeoutMs / 1000} s`);
    await sleep(reconnectMs);
    await untilSettled(context);
    return { times: 1, ...(facts.threaded ? lostWithThread(context) : { brokenConnections: onProcess }) };
  },
};

/** How many connections of the client pool the blocked process has; without /proc, all of them. */
async function connectionsOfBlockedProcess({ server, clientPool }: TrialContext, port: number): Promise<number> {
  const ports = (await clientPool.call('connections')).map((connection) => connection.port);
  if (!hasProc) return ports.length;
  const blocked = ownerOf(server.processes, server.port, port);
  return blocked === undefined ? 0 : ownedBy(blocked, server.port, ports).length;
}
