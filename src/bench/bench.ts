// A comparison: runs each scenario in rounds. In each round all targets are measured one after another, so that a drift
// of the machine's speed affects all of them.
import { totalmem } from 'node:os';
import { hasProc } from '../os/process-tree.js';
import { thisMachine } from '../testbed/machine.js';
import type { Progress } from '../testbed/progress.js';
import type { Job } from './job.js';
import { measure } from './measurement.js';
import { differences, type PreflightResult, preflight } from './preflight.js';
import { type Cell, type Contender, type Results, type Round, schema } from './results.js';
import type { Scenario } from './scenario.js';
import type { RunningTarget, Target } from './target.js';

export interface Plan {
  readonly app: string;
  readonly version: string;
  readonly targets: readonly Target[];
  readonly scenarios: readonly Scenario[];
  readonly connections: readonly number[];
  readonly rounds: number;
  readonly durationMs: number;
  /** Of an open loop, in requests per second. The scenarios contain it already; here it is for the results. */
  readonly rate: number | undefined;
  readonly onProgress: (progress: Progress) => void;
  /** When aborted, the comparison ends early, and returns what was measured so far. */
  readonly signal: AbortSignal;
}

/** The longest warm-up of a target in a scenario (milliseconds). */
const maxWarmUpMs = 1000;
const maxWarmUpConnections = 16;
/** Event loop utilisation of the load generator above which the generator may be the bottleneck. */
const saturatedUtilisation = 0.95;

/** @throws NoUsableTarget when no target passes the preflight */
export async function bench(plan: Plan): Promise<Results> {
  const { scenarios, targets, rounds, signal } = plan;
  const at = new Date().toISOString();
  const all = scenarios.reduce((sum, one) => sum + connectionsFor(one, plan).length, 0) * rounds * targets.length;
  let done = 0;
  const progress = (doing: string) => plan.onProgress({ doing, done, all });

  const checked: PreflightResult[] = [];
  for (const target of targets) {
    if (signal.aborted) break;
    progress(`checking ${target.name}`);
    checked.push(await preflight(target, scenarios));
  }
  if (checked.every(({ failure }) => failure !== undefined) && !signal.aborted)
    throw new NoUsableTarget(checked.map(contenderOf));
  const responseWarnings = differences(checked);

  const cells: (Cell & { readonly rounds: Round[] })[] = [];
  for (const scenario of scenarios) {
    if (signal.aborted) break;
    const servers = new Map<string, RunningTarget>();
    try {
      for (const one of checked) {
        if (signal.aborted || one.failure !== undefined) continue;
        const { name } = one.target;
        progress(`${scenario.name}: starting and warming up ${name}`);
        try {
          const server = await one.target.start();
          servers.set(name, server);
          one.bootMs.push(server.bootMs);
          await measure(server, warmUp(scenario, plan), signal);
        } catch (error) {
          if (!signal.aborted) one.failure = (error as Error).message;
        }
      }
      const rows = connectionsFor(scenario, plan).map((connections) =>
        [...servers].map(([contender, server]) => {
          const cell = { contender, scenario: scenario.name, connections, rounds: [] as Round[] };
          cells.push(cell);
          return { cell, server };
        }),
      );
      for (let round = 1; round <= rounds; round++) {
        for (const row of rows) {
          // Every other round runs in reverse order, so that no target is always first.
          for (const { cell, server } of round % 2 === 1 ? row : row.toReversed()) {
            if (signal.aborted) break;
            const { contender, connections } = cell;
            progress(`${scenario.name}, ${connections} connection(s), round ${round} of ${rounds}: ${contender}`);
            const job = { connections, durationMs: plan.durationMs, requests: scenario.requests, load: scenario.load };
            try {
              cell.rounds.push(await measure(server, job, signal));
            } catch (error) {
              if (!signal.aborted) throw error;
            }
            done++;
          }
        }
      }
    } finally {
      await Promise.all([...servers.values()].map((server) => server.stop()));
    }
  }

  const measured = cells.filter((cell) => cell.rounds.length > 0);
  return {
    schema,
    at,
    machine: { ...thisMachine(), memoryBytes: totalmem() },
    version: plan.version,
    app: plan.app,
    settings: { rounds, durationMs: plan.durationMs, rate: plan.rate },
    contenders: checked.map(contenderOf),
    scenarios: scenarios.map(({ name, summary }) => ({ name, summary })),
    cells: measured,
    interrupted: signal.aborted,
    warnings: [...responseWarnings, ...warnings(measured, plan)],
  };
}

/** Every target failed to start or failed its preflight requests. */
export class NoUsableTarget extends Error {
  constructor(readonly contenders: readonly Contender[]) {
    super(contenders.map(({ name, failure }) => `${name}: ${failure}`).join('; '));
  }
}

function contenderOf({ target: { name, command }, size, bootMs, failure }: PreflightResult): Contender {
  return { name, command, size, bootMs, failure };
}

function connectionsFor(scenario: Scenario, plan: Pick<Plan, 'connections'>): readonly number[] {
  return scenario.connections === undefined ? plan.connections : [scenario.connections];
}

/** A closed loop, which sends most requests in the time, without the scenario's crash requests. */
function warmUp({ requests }: Scenario, { durationMs, connections }: Plan): Omit<Job, 'origin'> {
  const count = Math.min(maxWarmUpConnections, Math.max(...connections));
  return { connections: count, durationMs: Math.min(maxWarmUpMs, durationMs), requests, load: { kind: 'closed' } };
}

function warnings(cells: readonly Cell[], { scenarios }: Plan): readonly string[] {
  const saturated = cells.filter(({ rounds }) =>
    rounds.some((round) => round.generatorUtilisation > saturatedUtilisation),
  );
  const where = [
    ...new Set(saturated.map(({ scenario, connections }) => `${scenario} with ${connections} connections`)),
  ];
  const isClosed = scenarios.some(({ load }) => load.kind === 'closed' || load.kind === 'connection-per-request');
  return [
    ...(where.length > 0
      ? [
          `the load generator was saturated (event loop busy for more than ${saturatedUtilisation * 100} % of the time) in ${where.join(', ')}: ` +
            'there it may limit requests/s and latency; CPU per request is not affected',
        ]
      : []),
    ...(isClosed
      ? [
          'a closed loop waits for each response before it sends the next request, so it hides the requests that a stall would delay (coordinated omission); use --rate to measure them',
        ]
      : []),
    ...(hasProc ? [] : ['this system has no /proc: CPU time, memory and fairness are not measured']),
  ];
}
