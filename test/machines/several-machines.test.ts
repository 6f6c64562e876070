// Three machines behind HAProxy, as docs/deploy/several-machines.md describes them: what a rolling upgrade, a rolling switch of
// the model, and the loss of a machine cost clients that never retry.
import { describe, expect, test } from 'vitest';
import { Fleet, machineNumbers, noticed } from '../helpers/fleet.ts';
import { canMakeMachines } from '../helpers/machines.ts';
import { findProgram, type Program } from '../helpers/programs.ts';
import { isFull, repetitions } from '../helpers/repetitions.ts';

const what = 'the tests of several machines';
const haproxy = findProgram(['haproxy'], '-v', what) as Program;
const requests = repetitions({ few: 3000, all: 50_000 });
/** Sent by `mpserve prove` before it counts. */
const preflight = 4;

describe.runIf(haproxy && canMakeMachines(what))('three machines behind HAProxy', { tags: 'long' }, () => {
  test('a rolling upgrade and a rolling switch of the model lose no request', async () => {
    await using fleet = await Fleet.start(haproxy);
    const stopClients = fleet.startClients();
    await fleet.untilAsked(200);
    let rounds = 0;
    for (; rounds === 0 || fleet.logged < requests; rounds++) {
      for (const machine of machineNumbers) {
        await noticed(fleet, machine, 'UP', async () => {
          await noticed(fleet, machine, 'DOWN', () => fleet.stopServer(machine));
          await fleet.startServer(machine);
        });
      }
      for (const machine of machineNumbers) {
        const upgrade = await fleet.ask(machine, 'upgrade');
        expect(upgrade.json, JSON.stringify(upgrade.json)).toMatchObject({ ok: true });
        const change = await fleet.ask(machine, 'switch', { options: { model: 'prethread' } });
        expect(change.json, JSON.stringify(change.json)).toMatchObject({ ok: true });
        expect(await fleet.status(machine)).toMatchObject({ model: 'prethread' });
      }
    }
    const { code, trial } = await stopClients();
    const answered = fleet.served - preflight;
    expect({ code, ...trial }).toMatchObject({
      code: 0,
      requests: answered,
      answered,
      failed: 0,
      lost: 0,
      reconnects: 0,
    });
    expect(answered).toBeGreaterThan(requests - preflight);
    const each = machineNumbers.length * rounds;
    const longest = trial.pauses.map(({ client, ms }) => `${client} ${ms} ms`).join(', ');
    console.log(`${answered} requests through ${each} restarts, upgrades and switches each; longest: ${longest}`);
  });

  // Where each request has a connection of its own, a connection is a request in flight. Kept ones are used until HAProxy has
  // noticed the loss, but each for one request, as its response does not come.
  const variants: readonly (readonly [name: string, option: string])[] = [
    ['with a connection for each request', '    option http-server-close'],
    ...(isFull ? [['with connections that are kept', ''] as const] : []),
  ];
  test.each(variants)('a machine that dies or vanishes loses what was in flight on it, %s', async (_, option) => {
    await using fleet = await Fleet.start(haproxy, option);
    const lose = async (machine: number, end: () => number | Promise<number>): Promise<void> => {
      const stopClients = fleet.startClients();
      await fleet.untilAsked(fleet.logged + 200);
      let open = 0;
      await noticed(fleet, machine, 'DOWN', async () => {
        open = await end();
      });
      await fleet.untilAsked(fleet.logged + 200);
      const { trial } = await stopClients();
      console.log(
        `m${machine}: ${trial.failed + trial.lost} of ${trial.requests} requests lost; ${open} connections were open`,
      );
      expect(trial.failed + trial.lost, JSON.stringify(trial)).toBeLessThanOrEqual(open);
      expect(trial.reconnects).toBe(0);
    };
    await lose(3, () => fleet.kill(3));
    await lose(2, () => fleet.cut(2));
  });
});
