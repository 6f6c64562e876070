// A worker gets SIGKILL: only its own connections may break.
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import type { OpenConnection } from '../messages.js';
import { reconnectMs, type Trial, type TrialContext, untilSettled } from '../trial.js';

export const kill: Trial = {
  name: 'kill',
  summary: 'send SIGKILL to one worker',
  /** Kills a worker that serves a kept-alive client; without /proc, the first worker. */
  async run(context) {
    const { server, clientPool, facts, workload, sleep } = context;
    const connections = await clientPool.call('connections');
    const workers = (await server.workers()).filter(({ stage }) => stage === 'ready').map(({ pid }) => pid);
    const keptAlive = connections.find(({ clientType }) => clientType === 'kept-alive');
    const owner = hasProc && keptAlive ? ownerOf(workers, server.port, keptAlive.port) : undefined;
    const victim = owner ?? workers[0];
    if (victim === undefined) throw new Error('no worker is ready, so there is none to kill');
    const isSingleProcess = !facts.once && !facts.workers; // and serves all connections
    const brokenConnections =
      isSingleProcess || !hasProc
        ? Object.values(workload.clients).reduce((sum, count) => sum + count, 0)
        : countBroken(context, victim, connections);
    process.kill(victim, 'SIGKILL');
    await server.waitForEvent('worker-died');
    await sleep(reconnectMs);
    await untilSettled(context);
    return { times: 1, brokenConnections };
  },
};

/** The most connections that the kill can break: the worker's own, and each new one that it may be about to accept. */
function countBroken(
  { server, facts, workload }: TrialContext,
  victim: number,
  connections: readonly OpenConnection[],
): number {
  const keptAlive = connections.filter(({ clientType }) => clientType !== 'one request each').map(({ port }) => port);
  const own = ownedBy(victim, server.port, keptAlive);
  return own.length + (facts.once ? 0 : workload.clients['one request each']);
}
