// Random crowds of requests with one that kills the worker: whatever is in flight beside it, the innocent are never
// refused, and the guilty one is after a bounded number of deaths.
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { Events } from '../../src/events.ts';
import { Denylist, emptyDenylist } from '../../src/inflight/denylist.ts';
import { requestLine, targetOf } from '../../src/inflight/fingerprint.ts';
import { Journal, takeRequests } from '../../src/inflight/journal.ts';
import { JournalWriter } from '../../src/inflight/journal-writer.ts';
import { Quarantine } from '../../src/inflight/quarantine.ts';
import { RecordedBody } from '../../src/inflight/recorded-body.ts';
import { mapJournal, type Region, regionAt } from '../../src/inflight/regions.ts';
import { Reports } from '../../src/reports/reports.ts';
import { newSeed, type Random, randomOf } from '../helpers/seeds.ts';

const journal = new Journal(64);
const memory = mapJournal(journal);
afterAll(() => journal.close());

let time = 0;
beforeEach(() => {
  time = 0;
  vi.spyOn(process, 'hrtime').mockImplementation(() => [Math.floor(time / 1000), (time % 1000) * 1e6]);
  return () => vi.restoreAllMocks();
});

interface Request {
  readonly method: string;
  readonly url: string;
  readonly body: string | undefined;
}

/** How a request kills: in its handler; in code that it has started, by an exception or by a signal; after its answer. */
const ways = ['handler', 'exception', 'signal', 'late'] as const;

/** What a request that is in flight beside the guilty one is at. */
const stages = ['waits for the app', 'has begun', 'sends its body', 'has been answered'] as const;

const deathsToRefuse = 3;
/** A request that kills by a signal, after its handler has returned, is not known from others in flight. */
const everyAlone = 4;
const maxDeaths = { handler: 3, exception: 4, signal: 3 * everyAlone, late: 20 };

const start = `/search?${'filter='.repeat(120)}`;

function innocents(random: Random): Request[] {
  return Array.from({ length: random.integer(1, 12) }, (_, i) => {
    const body = random.chance(0.3) ? `${i}`.repeat(random.integer(0, 2000)) : undefined;
    // As the guilty one, but for the end of the target or the body.
    const url = random.pick([`/page/${i}`, '/page', `${start}${i}`, `/kill?${i}`]);
    return { method: body === undefined ? 'GET' : 'POST', url, body: body && `innocent${body}` };
  });
}

function guiltyOne(random: Random): Request {
  const body = random.chance(0.3) ? 'guilty'.repeat(random.integer(0, 300)) : undefined;
  const url = random.pick(['/kill', `${start}kill`, '/page?kill']);
  return { method: body === undefined ? 'GET' : 'POST', url, body };
}

/** One event loop until its death, and what the supervisor does about it. */
class Loop {
  readonly #writer = new JournalWriter(regionAt(journal, 0, memory) as Region);
  readonly #denylist: Denylist;

  constructor(quarantine: Quarantine, reports: Reports) {
    this.#denylist = new Denylist(emptyDenylist, (fingerprint) => {
      reports.publish({ kind: 'suspect-cleared', pid: 1, fingerprint });
    });
    this.#denylist.set(quarantine.denylist);
  }

  refuses({ method, url, body }: Request): boolean {
    const recorded = new RecordedBody(undefined, -1);
    if (body !== undefined) for (const chunk of [Buffer.from(body), null]) recorded.push(chunk);
    return this.#denylist.refuses(requestLine(method, targetOf(url)), body === undefined ? 'none' : recorded.digest());
  }

  begin({ method, url, body }: Request, isWhole = true): number {
    const slot = this.#writer.begin('id', method, url, body !== undefined || !isWhole);
    if (body !== undefined && isWhole) {
      const recorded = new RecordedBody(this.#writer, slot);
      for (const chunk of [Buffer.from(body), null]) recorded.push(chunk);
    }
    this.#writer.setOnStack(slot, false);
    return slot;
  }

  stand(request: Request, stage: (typeof stages)[number], isLogged: boolean): void {
    const slot = this.begin(request, stage !== 'sends its body');
    if (stage === 'has begun' || stage === 'has been answered') this.#writer.setBegun(slot);
    if (stage === 'has been answered') {
      if (isLogged) this.#writer.endUnlogged(slot, 200);
      else this.#writer.end(slot);
    }
  }

  kill(request: Request, way: (typeof ways)[number]): void {
    const slot = this.begin(request);
    if (way === 'handler') this.#writer.setOnStack(slot, true);
    if (way === 'late') {
      this.#writer.end(slot);
      if (this.#denylist.isSearching) this.#writer.acquitAll();
    }
    if (way === 'exception' && this.#denylist.isSearching) this.#writer.convict(slot);
  }
}

/** @returns what was refused, and the deaths until then */
function run(seed: number) {
  const random = randomOf(seed);
  const events = new Events();
  const reports = new Reports(events);
  const quarantine = new Quarantine({ quarantineAfter: deathsToRefuse, hangTimeout: 30_000 }, reports, events);
  const [crowd, guilty, way] = [innocents(random), guiltyOne(random), random.pick(ways)];
  const isLogged = random.chance(0.5);
  for (let deaths = 0; ; deaths++) {
    time += random.integer(300, 60_000);
    const loop = new Loop(quarantine, reports);
    const refused = crowd.filter((one) => loop.refuses(one));
    if (refused.length > 0 || loop.refuses(guilty) || deaths === 25) return { way, deaths, refused };
    // Only one that kills by a signal has to be alone, at times.
    const isAlone = way === 'signal' && deaths % everyAlone === everyAlone - 1;
    if (!isAlone) for (const one of crowd) loop.stand(one, random.pick(stages), isLogged);
    loop.kill(guilty, way);
    for (const request of takeRequests(journal, 0, 1)) {
      reports.publish({ kind: 'request-ended', pid: 1, ...request, isWanted: false });
    }
  }
}

const fixed = Array.from({ length: 1000 }, (_, i) => i + 1);

const all: readonly (readonly [which: string, seeds: readonly number[], tags: string[]])[] = [
  ['100 fixed seeds', fixed.slice(0, 100), []],
  ['1,000 fixed seeds', fixed, ['long']],
  ['a new seed', [newSeed('quarantine-crowds')], []],
];
for (const [which, seeds, tags] of all)
  test(`the innocent are never refused, and the guilty one soon: ${which}`, { tags }, () => {
    for (const seed of seeds) {
      const { way, deaths, refused } = run(seed);
      expect(refused, `SEED=${seed}`).toEqual([]);
      // What has been answered before the worker dies is not in flight: nothing is refused then.
      if (way === 'late') expect(deaths, `SEED=${seed}`).toBe(25);
      else expect(deaths, `SEED=${seed}, ${way}`).toBeLessThanOrEqual(maxDeaths[way]);
    }
  });
