// A comparison: in each scenario, rounds in which the rivals take turns, so that a drift of the machine hits all.
import { cpus, type as osType, release, totalmem } from 'node:os';
import { hasProc } from '../os/process-tree.js';
import type { Job } from './job.js';
import { measure } from './measurement.js';
import { type Checked, check, differences } from './preflight.js';
import { type Cell, type Contender, type Results, type Round, schema } from './results.js';
import type { Scenario } from './scenario.js';
import type { Rival, Running } from './target.js';

export interface Plan {
  readonly app: string;
  readonly version: string;
  readonly rivals: readonly Rival[];
  readonly scenarios: readonly Scenario[];
  readonly connections: readonly number[];
  readonly rounds: number;
  readonly durationMs: number;
  /** Of an open loop, in requests a second; already part of the scenarios. */
  readonly rate: number | undefined;
  readonly onProgress: (progress: Progress) => void;
  /** Aborted to stop; what was measured until then is the result. */
  readonly signal: AbortSignal;
}

export interface Progress {
  /** What is being done, in a few words. */
  readonly doing: string;
  /** Measurements that are done, and all there will be. */
  readonly done: number;
  readonly all: number;
}

/** The load that warms a server up, for each scenario (milliseconds, at most). */
const warmUpMs = 1000;
const warmUpConnections = 16;
/** From here on the load generator is thought to be what limits the figures. */
const saturated = 0.95;

/** @throws Error when no rival can be measured. */
export async function bench(plan: Plan): Promise<Results> {
  const { scenarios, rivals, rounds, signal } = plan;
  const at = new Date().toISOString();
  const all = scenarios.reduce((sum, one) => sum + connectionsFor(one, plan).length, 0) * rounds * rivals.length;
  let done = 0;
  const progress = (doing: string) => plan.onProgress({ doing, done, all });

  const checked: Checked[] = [];
  for (const rival of rivals) {
    if (signal.aborted) break;
    progress(`does ${rival.name} start and answer?`);
    checked.push(await check(rival, scenarios));
  }
  const sound = checked.filter(({ failure }) => failure === undefined);
  if (sound.length === 0 && !signal.aborted) throw new NothingToCompare(checked);

  const boots = new Map(checked.map(({ rival, bootMs }) => [rival.name, Number.isNaN(bootMs) ? [] : [bootMs]]));
  const cells = new Map<string, Cell & { readonly rounds: Round[] }>();
  const lost = new Map<string, string>();
  const cellOf = (contender: string, scenario: string, connections: number) => {
    const key = `${contender} ${scenario} ${connections}`;
    const cell = cells.get(key) ?? { contender, scenario, connections, rounds: [] };
    cells.set(key, cell);
    return cell;
  };

  for (const scenario of scenarios) {
    if (signal.aborted) break;
    const servers = new Map<string, Running>();
    try {
      for (const { rival } of sound) {
        if (signal.aborted || lost.has(rival.name)) continue;
        progress(`${scenario.name}: starting and warming up ${rival.name}`);
        try {
          const server = await rival.start();
          servers.set(rival.name, server);
          boots.get(rival.name)?.push(server.bootMs);
          await measure(server, warmUp(scenario, plan), signal);
        } catch (error) {
          if (!signal.aborted) lost.set(rival.name, (error as Error).message);
        }
      }
      for (let round = 1; round <= rounds; round++) {
        for (const connections of connectionsFor(scenario, plan)) {
          // The order turns with each round, so that nobody is always first.
          const turns = round % 2 === 1 ? [...servers] : [...servers].reverse();
          for (const [name, server] of turns) {
            if (signal.aborted) break;
            progress(`${scenario.name}, ${connections} connection(s), round ${round} of ${rounds}: ${name}`);
            const job = { connections, durationMs: plan.durationMs, requests: scenario.requests, load: scenario.load };
            try {
              cellOf(name, scenario.name, connections).rounds.push(await measure(server, job, signal));
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

  const contenders = checked.map(({ rival, size, failure }): Contender => {
    const why = failure ?? lost.get(rival.name);
    const { name, command } = rival;
    return { name, command, size, bootMs: boots.get(name) ?? [], ...(why === undefined ? {} : { failure: why }) };
  });
  const results: Omit<Results, 'warnings'> = {
    schema,
    at,
    machine: {
      node: process.version,
      os: `${osType()} ${release()}`,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
    },
    version: plan.version,
    app: plan.app,
    settings: { rounds, durationMs: plan.durationMs, ...(plan.rate === undefined ? {} : { rate: plan.rate }) },
    contenders,
    scenarios: scenarios.map(({ name, summary }) => ({ name, summary })),
    cells: [...cells.values()].filter((cell) => cell.rounds.length > 0),
    interrupted: signal.aborted,
  };
  return { ...results, warnings: [...differences(checked), ...warnings(results.cells, plan)] };
}

/** No rival could be started, or none answered as it should. */
export class NothingToCompare extends Error {
  constructor(readonly checked: readonly Checked[]) {
    super(checked.map(({ rival, failure }) => `${rival.name}: ${failure}`).join('; '));
  }
}

function connectionsFor(scenario: Scenario, plan: Pick<Plan, 'connections'>): readonly number[] {
  return scenario.connections === undefined ? plan.connections : [scenario.connections];
}

/** In a closed loop, as most is learned in the least time; never with requests that kill. */
function warmUp({ requests }: Scenario, { durationMs, connections }: Plan): Omit<Job, 'origin'> {
  const most = Math.min(warmUpConnections, Math.max(...connections));
  return { connections: most, durationMs: Math.min(warmUpMs, durationMs), requests, load: { kind: 'closed' } };
}

function warnings(cells: readonly Cell[], { scenarios, rounds }: Plan): readonly string[] {
  const busy = cells.filter(({ rounds }) => rounds.some((round) => round.generatorUtilisation > saturated));
  const where = [...new Set(busy.map(({ scenario, connections }) => `${scenario} with ${connections} connections`))];
  const isClosed = scenarios.some(({ load }) => load.kind === 'closed' || load.kind === 'one-each');
  return [
    ...(where.length > 0
      ? [
          `the load generator was saturated (its event loop was busy for over ${saturated * 100} % of the time) in ${where.join(', ')}: ` +
            'there requests/s and latency are its limits as much as the server’s; CPU per request is not affected',
        ]
      : []),
    ...(isClosed
      ? [
          'a closed loop waits for each answer before it sends the next request, so it hides how many requests a stall would have delayed; --rate shows that',
        ]
      : []),
    ...(rounds === 1 ? ['of a single round there is no spread, so what is marked as best may be chance'] : []),
    ...(hasProc ? [] : ['there is no /proc on this system: processor time, memory and fairness are missing']),
  ];
}
