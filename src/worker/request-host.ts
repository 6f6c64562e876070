// A process that has the connections, and threads that have the app (--unit request): it runs the pipeline on its own event
// loop, at the end of which each request goes to a thread.
import { isBegunByClients } from '../client/session-rule.js';
import { msUntil, now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { deferred } from '../deferred.js';
import type { LoopStack } from '../hang/loop-stack.js';
import type { DenylistEntries } from '../inflight/denylist.js';
import { requestLine, targetOf } from '../inflight/fingerprint.js';
import { type LoopJournal, openLoopJournal } from '../inflight/loop-journal.js';
import type { MigrationPolicy } from '../migration/policy.js';
import { availableResources } from '../os/cgroup.js';
import { closingFraction, createPipeline, type Pipeline } from '../pipeline/pipeline.js';
import { warmUp } from '../pipeline/warm-up.js';
import type { RequestInFlight } from '../reports/report.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import { Dispatcher } from '../tasks/dispatcher.js';
import { sessionNamer } from '../tasks/session-namer.js';
import { type AppFacts, maxAhead } from '../tasks/wire.js';
import type { RunnerOptions } from './app-runner.js';
import type { DumpOrder } from './messages.js';
import type { DrainOrder, Service } from './service.js';
import type { ThreadGroup, WorkerSettings } from './settings.js';
import { type Shared, ThreadHost } from './thread-host.js';

export class RequestHost implements Service {
  readonly #options: RunnerOptions;
  readonly #threads: ThreadHost;
  readonly #requests: Dispatcher;
  /** Without a writer: each thread has the requests on record that it handles. */
  readonly #journal: LoopJournal | undefined;
  readonly #facts = deferred<AppFacts>();
  #pipeline: Pipeline | undefined;
  #isMigrationOff = false;
  #refusesUpgrades = false;
  #isDrainingThreads = false;

  constructor(options: RunnerOptions, settings: WorkerSettings, group: ThreadGroup, shared: Shared) {
    const { tell, sockets, lifecycle, clients } = options;
    const { sticky } = options.sessions;
    const { tasksPerThread, retriesSafe, range } = group;
    this.#options = options;
    this.#journal =
      settings.journal && openLoopJournal(undefined, (fingerprint) => tell({ kind: 'suspect-cleared', fingerprint }));
    // The first death of a request may be one too many.
    const retries = retriesSafe && lifecycle.quarantineAfter !== 1;
    const { queueMax, queueTimeout, shed, priorityPath } = options.overload;
    // What a thread has ahead is not shed, and those with priority do not overtake it.
    const most = shed || priorityPath.length > 0 ? 1 : maxAhead;
    const ahead = Math.min(most, Math.floor(queueMax / range.max));
    this.#requests = new Dispatcher({
      tasksPerThread,
      ahead,
      queueTimeout,
      cores: availableResources().cores,
      mayRetry: ({ method = '', url = '' }) =>
        retries && !this.#journal?.denylist.refuses(requestLine(method, targetOf(url)), 'none'),
      onRetry: () => shared.counters?.retried(),
      onOverdue: (tid) => void this.#threads.replaceOverdue(tid, tasksPerThread === 1),
      onFacts: (facts) => {
        this.#facts.resolve(facts);
        if (facts.upgrades) this.#refuseUpgrades();
      },
      sticky: sticky && {
        sessionOf: sessionNamer(sticky, clients),
        isBegunByWorkers: !isBegunByClients(sticky),
        onPlacedAgain: (count) => tell({ kind: 'sessions-placed-again', count }),
      },
    });
    this.#threads = new ThreadHost(settings, group, tell, sockets, shared, {
      ready: (thread) => {
        const { tid, tasks } = thread;
        if (!tasks) return undefined;
        const taking = this.#requests.added(tid, tasks);
        return (end) => this.#requests.ended(taking, end);
      },
    });
  }

  async start(): Promise<void> {
    const { warmsUp, limits, limitsGiven } = this.#options;
    if (warmsUp) await warmUp({ ...this.#options, busy: undefined });
    await this.#threads.start();
    const { server } = await this.#facts.promise;
    const ofApp = Object.entries(server.limits).filter(([key]) => !limitsGiven.includes(key as keyof typeof limits));
    const pipeline = await createPipeline({
      ...this.#options,
      limits: { ...limits, ...Object.fromEntries(ofApp) },
      journal: this.#journal,
      busy: undefined,
      app: this.#requests,
      onSession: (session, res) => this.#requests.sessionBegan(session, res),
      room: this.#requests,
    });
    pipeline.configure(server.properties);
    this.#pipeline = pipeline;
    if (this.#requests.appFacts?.upgrades) this.#refuseUpgrades();
    if (this.#isMigrationOff) pipeline.stopMigration();
  }

  open(): void {
    this.#threads.open();
  }

  check(): Promise<string | undefined> {
    return this.#threads.check();
  }

  async serve(connection: IncomingConnection): Promise<void> {
    await this.#pipeline?.adopt(connection);
  }

  async drain(order: DrainOrder): Promise<void> {
    const { ms, othersServe, onMigrating } = order;
    const drainBy = now() + ms;
    const stallMs = this.#options.loading.bootTimeout;
    await this.#pipeline?.drain(ms, othersServe ? { stallMs, onMigrating } : undefined);
    this.#isDrainingThreads = true;
    // They have no request any more, and close the app.
    const left = Math.max(msUntil(drainBy), othersServe ? ms * closingFraction : 0);
    await this.#threads.drain({ ...order, ms: left });
  }

  drainSooner(ms: number, othersServe: boolean): void {
    if (!othersServe) this.#pipeline?.serverStops();
    this.#pipeline?.drainSooner(ms);
    if (this.#isDrainingThreads) this.#threads.drainSooner(ms, othersServe);
  }

  setMigration({ send }: MigrationPolicy): void {
    this.#isMigrationOff = send === 'off';
    if (this.#isMigrationOff) this.#pipeline?.stopMigration();
    else if (typeof send === 'object') this.#pipeline?.rebalance(send.rebalance);
  }

  get answered(): number {
    return this.#pipeline?.answered ?? 0;
  }

  load(): number | undefined {
    return this.#threads.load();
  }

  inFlight(): readonly RequestInFlight[] {
    return this.#pipeline?.inFlight() ?? [];
  }

  async look(how: Look): Promise<readonly LoopView[]> {
    const [view, views] = await Promise.all([this.#pipeline?.look(how), this.#threads.look(how)]);
    return view ? [{ ...view, tid: 0 }, ...views] : views;
  }

  setDenylist(denylist: DenylistEntries): void {
    this.#journal?.denylist.set(denylist);
    this.#threads.setDenylist(denylist);
  }

  shed(): void {
    this.#pipeline?.shed();
  }

  idleFor(): number {
    return this.#pipeline?.idleFor() ?? -1;
  }

  stacks(): Promise<readonly LoopStack[]> {
    return this.#threads.stacks();
  }

  dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    return this.#threads.dump(order, fd);
  }

  #refuseUpgrades(): void {
    if (this.#refusesUpgrades || !this.#pipeline) return;
    this.#refusesUpgrades = true;
    this.#pipeline.refuseUpgrades();
    this.#options.tell({ event: 'upgrades-refused' });
  }
}
