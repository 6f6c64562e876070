// A worker is killed (SIGKILL): its connections break, nobody else's.
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import type { Connected } from '../messages.js';
import { atRest, isOneProcess, type Stage, type Trial } from '../trial.js';

/** Clients come back to what has replaced it (milliseconds). */
const after = 1000;

export const kill: Trial = {
  name: 'kill',
  summary: 'one worker is killed (SIGKILL)',
  async run(stage) {
    const { server, crowd, facts, pause } = stage;
    const connected = await crowd.connected();
    const workers = (await server.workers()).filter(({ stage }) => stage === 'ready').map(({ pid }) => pid);
    const victim = victimOf(stage, workers, connected);
    if (victim === undefined) throw new Error('there is no worker to kill');
    const broken = isOneProcess(facts) || !hasProc ? sum(stage.job.clients) : brokenWith(stage, victim, connected);
    process.kill(victim, 'SIGKILL');
    await server.heard('worker-died');
    await pause(after);
    await atRest(stage);
    return { times: 1, broken };
  },
};

/** Who serves a client that keeps its connection; where that cannot be seen, anyone. */
function victimOf({ server }: Stage, workers: readonly number[], connected: readonly Connected[]): number | undefined {
  const lasting = connected.find(({ habit }) => habit === 'kept-alive');
  const owner = hasProc && lasting ? ownerOf(workers, server.port, lasting.port) : undefined;
  return owner ?? workers[0];
}

/** How many connections it can cost: those it has, and of clients that come and go each one that it may just get. */
function brokenWith({ server, facts, job }: Stage, victim: number, connected: readonly Connected[]): number {
  const lasting = connected.filter(({ habit }) => habit !== 'one request each').map(({ port }) => port);
  const held = ownedBy(victim, server.port, lasting);
  return held.length + (facts.once ? 0 : job.clients['one request each']);
}

function sum(clients: Stage['job']['clients']): number {
  return Object.values(clients).reduce((all, count) => all + count, 0);
}
